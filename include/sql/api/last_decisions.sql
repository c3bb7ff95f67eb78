-- The newest decision of the schedule of a DAG, and its newest of any run.
-- Parameters: dag_id. Columns: is_scheduled, logged_at, run_id, status (backfill or skip), reason, team_count, dates,
--   dates_left, date_start, date_end (of the days that were looked at), states (that were looked for), team_ids (empty:
--   all enabled ones).
SELECT
    startsWith(run_id, 'scheduled__') AS is_scheduled,
    logged_at,
    dag_id,
    run_id,
    status,
    reason,
    team_count,
    JSONExtract(details, 'dates', 'Array(String)') AS dates,
    JSONExtractUInt(details, 'dates_left') AS dates_left,
    JSONExtractString(details, 'date_start') AS date_start,
    JSONExtractString(details, 'date_end') AS date_end,
    JSONExtract(details, 'states', 'Array(String)') AS states,
    arrayMap(id -> toString(id), JSONExtract(details, 'team_ids', 'Array(UInt64)')) AS team_ids
FROM web_analytics_backfill_log
WHERE kind = 'decision' AND dag_id = %(dag_id)s
ORDER BY logged_at DESC
LIMIT 1 BY is_scheduled
