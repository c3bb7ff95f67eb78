-- Cancels what, in this database, earlier tries of a task still run, and waits until it is gone.
-- Parameters: task_prefix (beginning of all tries' query ids), try_prefix (that of the present try).
-- Columns: those of KILL QUERY.
KILL QUERY WHERE current_database = currentDatabase() AND startsWith(query_id, %(task_prefix)s) AND NOT startsWith(query_id, %(try_prefix)s) SYNC
