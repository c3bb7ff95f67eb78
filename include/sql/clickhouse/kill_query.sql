-- Cancels one running query and waits until it is gone.
-- Parameters: query_id, database. Columns: those of KILL QUERY.
KILL QUERY{{ " ON CLUSTER '" ~ cluster ~ "'" if kill_on_cluster }} WHERE current_database = {{ "%(database)s" if kill_on_cluster else "currentDatabase()" }} AND query_id = %(query_id)s SYNC
