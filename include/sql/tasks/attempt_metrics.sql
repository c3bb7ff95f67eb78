-- What the attempts to build since an instant came to and cost, as the driver reported it.
-- Parameters: since. Columns: attempts, succeeded, dates_built, seconds, seconds_p50, seconds_max, rows_read,
-- bytes_read.
SELECT
    count() AS attempts,
    countIf(status = 'succeeded') AS succeeded,
    uniqExactIf(partition_date, status = 'succeeded' AND endsWith(task_id, 'publish')) AS dates_built,
    sum(attempt_seconds) AS seconds,
    if(attempts = 0, 0, quantileExact(0.5)(attempt_seconds)) AS seconds_p50,
    max(attempt_seconds) AS seconds_max,
    sum(attempt_rows) AS rows_read,
    sum(attempt_bytes) AS bytes_read
FROM
(
    SELECT
        status,
        partition_date,
        task_id,
        seconds AS attempt_seconds,
        rows_read AS attempt_rows,
        bytes_read AS attempt_bytes
    FROM web_analytics_backfill_log
    WHERE kind = 'attempt' AND logged_at >= %(since)s
)
