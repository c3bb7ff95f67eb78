-- What the queries of one origin cost on this node, its share of those that began on another node among them.
-- Parameters: origin. Columns: cpu_s, peak_mb (of the largest query), largest (the statement that this was), rows_read.
SELECT
    sum(ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1e6 AS cpu_s,
    max(memory_usage) / 1e6 AS peak_mb,
    argMax(log_comment, memory_usage) AS largest,
    toFloat64(sum(read_rows)) AS rows_read
FROM system.query_log
WHERE type = 'QueryFinish' AND startsWith(initial_query_id, concat(%(origin)s, ':'))
