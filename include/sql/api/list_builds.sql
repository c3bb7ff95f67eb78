-- How far the newest runs that decided to build have come.
-- Parameters: since (decided after), row_limit. Columns: dag_id, run_id, decided_at, dates (in the order they are built),
--   published (those that a run published, whether or not all its tasks are done), failed (the last attempt of a step
--   failed), last_published_at (1970 where none is).
SELECT
    dag_id,
    run_id,
    maxIf(logged_at, kind = 'decision') AS decided_at,
    JSONExtract(argMaxIf(details, logged_at, kind = 'decision'), 'dates', 'Array(String)') AS dates,
    arraySort(groupUniqArrayIf(toString(assumeNotNull(partition_date)), is_published)) AS published,
    arraySort(groupUniqArrayIf(toString(assumeNotNull(partition_date)), is_failed)) AS failed,
    maxIf(logged_at, is_published) AS last_published_at
FROM
(
    SELECT
        *,
        kind = 'attempt' AND status = 'succeeded' AND endsWith(task_id, 'publish') AS is_published,
        kind = 'attempt' AND status = 'failed' AS is_failed
    FROM web_analytics_backfill_log
    WHERE kind IN ('decision', 'attempt') AND logged_at >= %(since)s
)
GROUP BY dag_id, run_id
HAVING countIf(kind = 'decision' AND status = 'backfill') > 0
ORDER BY decided_at DESC
LIMIT %(row_limit)s
