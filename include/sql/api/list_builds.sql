-- How far the newest runs that decided to build have come.
-- Parameters: since (decided after), row_limit. Columns: dag_id, run_id, decided_at, dates (in the order they are built),
--   published (those that a run published, whether or not all its tasks are done), failed (the last attempt of a step
--   failed), last_published_at (1970 where none is), waits_for_approval (a person was asked and has not answered),
--   waited (dates that have waited for a busy server), waited_enough (those that have begun since), why_waiting.
SELECT
    dag_id,
    run_id,
    maxIf(logged_at, kind = 'decision') AS decided_at,
    JSONExtract(argMaxIf(details, logged_at, kind = 'decision'), 'dates', 'Array(String)') AS dates,
    JSONExtractString(argMaxIf(details, logged_at, kind = 'decision'), 'asks') != '' AS waits_for_approval,
    arraySort(groupUniqArrayIf(toString(assumeNotNull(partition_date)), is_published)) AS published,
    arraySort(groupUniqArrayIf(toString(assumeNotNull(partition_date)), is_failed)) AS failed,
    maxIf(logged_at, is_published) AS last_published_at,
    groupUniqArrayIf(toString(assumeNotNull(partition_date)), kind = 'wait' AND status = 'waiting') AS waited,
    groupUniqArrayIf(toString(assumeNotNull(partition_date)), kind = 'wait' AND status = 'over') AS waited_enough,
    argMaxIf(reason, logged_at, kind = 'wait' AND status = 'waiting') AS why_waiting
FROM
(
    SELECT
        *,
        kind = 'attempt' AND status = 'succeeded' AND endsWith(task_id, 'publish') AS is_published,
        kind = 'attempt' AND status = 'failed' AS is_failed
    FROM web_analytics_backfill_log
    WHERE kind IN ('decision', 'wait', 'attempt') AND logged_at >= %(since)s
)
GROUP BY dag_id, run_id
HAVING argMaxIf(status, logged_at, kind = 'decision') = 'backfill'
ORDER BY decided_at DESC
LIMIT %(row_limit)s
