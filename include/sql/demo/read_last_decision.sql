-- The newest decision of web_analytics_backfill.
-- Columns: logged_at, run_id, status, reason, details (JSON).
SELECT logged_at, run_id, status, reason, details
FROM web_analytics_backfill_log
WHERE kind = 'decision' AND dag_id = 'web_analytics_backfill'
ORDER BY logged_at DESC
LIMIT 1
