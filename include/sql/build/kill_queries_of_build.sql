-- Cancels every query of this database that names a table of a build, and waits until it is gone.
-- Parameters: table_prefix (of the build's tables), database (theirs). Columns: those of KILL QUERY.
KILL QUERY{{ " ON CLUSTER '" ~ cluster ~ "'" if kill_on_cluster }} WHERE current_database = {{ "%(database)s" if kill_on_cluster else "currentDatabase()" }} AND position(query, %(table_prefix)s) > 0 AND position(query, 'KILL QUERY') = 0 SYNC
