-- How many queries run that name a table of a build.
-- Parameters: table_prefix (of the build's tables). Columns: running.
SELECT count() AS running
FROM system.processes
WHERE position(query, %(table_prefix)s) > 0 AND position(query, 'system.processes') = 0 AND position(query, 'KILL QUERY') = 0
