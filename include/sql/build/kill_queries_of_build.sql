-- Cancels every query that names a table of a build, and waits until it is gone.
-- Parameters: table_prefix (of the build's tables). Columns: those of KILL QUERY.
KILL QUERY WHERE position(query, %(table_prefix)s) > 0 AND position(query, 'KILL QUERY') = 0 SYNC
