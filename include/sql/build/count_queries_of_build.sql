-- How many queries of this database run that name a table of a build.
-- Parameters: table_prefix (of the build's tables). Columns: running.
SELECT count() AS running
FROM system.processes
WHERE current_database = currentDatabase() AND position(query, %(table_prefix)s) > 0 AND position(query, 'system.processes') = 0 AND position(query, 'KILL QUERY') = 0
