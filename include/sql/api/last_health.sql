-- The newest health check.
-- Parameters: none. Columns: logged_at, dag_id, run_id, status (ok, degraded or failing), reason.
SELECT logged_at, dag_id, run_id, status, reason
FROM web_analytics_backfill_log
WHERE kind = 'health'
ORDER BY logged_at DESC
LIMIT 1
