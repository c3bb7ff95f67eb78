-- Cancels one running query and waits until it is gone.
-- Parameters: query_id. Columns: those of KILL QUERY.
KILL QUERY WHERE current_database = currentDatabase() AND query_id = %(query_id)s SYNC
