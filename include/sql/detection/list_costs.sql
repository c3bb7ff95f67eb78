-- What the dates that runs decided to build were estimated to cost, and what they have cost so far: every attempt of every
-- step, and the comparison with the raw events.
-- Parameters: since (decided after), row_limit; of one run also dag_id, run_id.
-- Columns: partition_date, source_rows (by the primary key, before), estimated_rows, estimated_bytes, estimated_seconds (0
--   where they were unknown), rows_read, bytes_read, seconds, is_published.
SELECT
    estimated.partition_date AS partition_date,
    source_rows,
    estimated_rows,
    estimated_bytes,
    estimated_seconds,
    took.rows_read AS rows_read,
    took.bytes_read AS bytes_read,
    took.seconds AS seconds,
    took.is_published AS is_published
FROM
(
    SELECT
        logged_at,
        dag_id,
        run_id,
        toDate(of_date.1) AS partition_date,
        of_date.2 AS source_rows,
        of_date.3 AS estimated_rows,
        of_date.4 AS estimated_bytes,
        of_date.5 AS estimated_seconds
    FROM web_analytics_backfill_log
    ARRAY JOIN
        JSONExtract(
            details,
            'estimates',
            'Array(Tuple(date String, source_rows UInt64, rows UInt64, bytes UInt64, seconds Float64))') AS of_date
    WHERE kind = 'decision' AND logged_at >= %(since)s
{% if of_one_run %}
      AND dag_id = %(dag_id)s AND run_id = %(run_id)s
{% endif %}
    ORDER BY logged_at DESC
    LIMIT 1 BY dag_id, run_id, partition_date
) AS estimated
LEFT JOIN
(
    SELECT
        dag_id,
        run_id,
        assumeNotNull(log.partition_date) AS partition_date,
        sum(log.rows_read) AS rows_read,
        sum(log.bytes_read) AS bytes_read,
        sum(log.seconds) AS seconds,
        countIf(kind = 'attempt' AND status = 'succeeded' AND endsWith(task_id, 'publish')) > 0 AS is_published
    FROM web_analytics_backfill_log AS log
    WHERE kind IN ('attempt', 'validation') AND log.partition_date IS NOT NULL AND logged_at >= %(since)s
{% if of_one_run %}
      AND dag_id = %(dag_id)s AND run_id = %(run_id)s
{% endif %}
    GROUP BY dag_id, run_id, partition_date
) AS took
    ON took.dag_id = estimated.dag_id AND took.run_id = estimated.run_id
    AND took.partition_date = estimated.partition_date
ORDER BY estimated.logged_at DESC, partition_date DESC
LIMIT %(row_limit)s
