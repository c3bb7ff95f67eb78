-- Medians of what queries cost whose ids are a prefix, a name and a number, by name.
-- Parameters: prefix.
-- Columns: question, cpu_ms, wall_ms, rows_read, peak_mb.
SELECT
    splitByChar(':', query_id)[2] AS question,
    quantileExact(0.5)((ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1000) AS cpu_ms,
    toFloat64(quantileExact(0.5)(query_duration_ms)) AS wall_ms,
    toFloat64(quantileExact(0.5)(read_rows)) AS rows_read,
    quantileExact(0.5)(memory_usage / 1e6) AS peak_mb
FROM system.query_log
WHERE type = 'QueryFinish' AND startsWith(query_id, %(prefix)s)
GROUP BY question
ORDER BY question
