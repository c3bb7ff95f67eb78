-- What the statements of both backfill DAGs since an instant cost, and their share of the server's CPU time, from
-- the server's query log.
-- Parameters: since. Columns: statements, cpu_seconds, cpu_percent, peak_memory_bytes, rows_read, bytes_read.
SELECT
    countIf(is_ours) AS statements,
    sumIf(statement_cpu, is_ours) AS cpu_seconds,
    if(sum(statement_cpu) = 0, 0, 100 * sumIf(statement_cpu, is_ours) / sum(statement_cpu)) AS cpu_percent,
    maxIf(memory_usage, is_ours) AS peak_memory_bytes,
    sumIf(read_rows, is_ours) AS rows_read,
    sumIf(read_bytes, is_ours) AS bytes_read
FROM
(
    SELECT
        match(query_id, '^web_analytics_(team_)?backfill(__[a-z0-9]+)?:') AS is_ours,
        (ProfileEvents['UserTimeMicroseconds'] + ProfileEvents['SystemTimeMicroseconds']) / 1e6 AS statement_cpu,
        memory_usage,
        read_rows,
        read_bytes
    FROM system.query_log
    WHERE type != 'QueryStart' AND is_initial_query
      AND event_date >= toDate(%(since)s) AND event_time >= %(since)s
)
