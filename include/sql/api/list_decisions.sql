-- The newest decisions, each with its reason. Dry runs leave none.
-- Parameters: row_limit. Columns: logged_at, dag_id, run_id, status (backfill or skip), reason, dates, dates_left.
SELECT
    logged_at,
    dag_id,
    run_id,
    status,
    reason,
    JSONExtract(details, 'dates', 'Array(String)') AS dates,
    JSONExtractUInt(details, 'dates_left') AS dates_left
FROM web_analytics_backfill_log
WHERE kind = 'decision'
ORDER BY logged_at DESC
LIMIT %(row_limit)s
