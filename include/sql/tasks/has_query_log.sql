-- Whether this server keeps a query log that this user may read.
-- Parameters: none. Columns: has_query_log.
SELECT count() > 0 AS has_query_log
FROM system.tables
WHERE database = 'system' AND name = 'query_log'
