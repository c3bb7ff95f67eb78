-- The largest memory that any execution of a statement took, where the server keeps a query_log.
-- Parameters: statement. Columns: megabytes.
SELECT max(memory_usage) / 1e6 AS megabytes
FROM system.query_log
WHERE type = 'QueryFinish' AND log_comment = %(statement)s
