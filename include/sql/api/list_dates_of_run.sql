-- The days that a run decided to build, built or validated.
-- Parameters: dag_id, run_id. Columns: partition_date.
SELECT DISTINCT day AS partition_date
FROM
(
    SELECT assumeNotNull(partition_date) AS day
    FROM web_analytics_backfill_log
    WHERE dag_id = %(dag_id)s AND run_id = %(run_id)s AND partition_date IS NOT NULL
    UNION ALL
    SELECT arrayJoin(JSONExtract(details, 'dates', 'Array(Date)'))
    FROM web_analytics_backfill_log
    WHERE kind = 'decision' AND dag_id = %(dag_id)s AND run_id = %(run_id)s
)
ORDER BY day
