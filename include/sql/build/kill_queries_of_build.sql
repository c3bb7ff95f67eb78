-- Cancels every query of this database that names a table of a build, and waits until it is gone.
-- Parameters: table_prefix (of the build's tables). Columns: those of KILL QUERY.
KILL QUERY WHERE current_database = currentDatabase() AND position(query, %(table_prefix)s) > 0 AND position(query, 'KILL QUERY') = 0 SYNC
