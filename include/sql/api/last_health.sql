-- The newest health check.
-- Parameters: none. Columns: logged_at, dag_id, run_id, status (ok, degraded or failing), reason, service_level (as JSON; empty or
--   null where there is none).
SELECT logged_at, dag_id, run_id, status, reason, JSONExtractRaw(details, 'service_level') AS service_level
FROM web_analytics_backfill_log
WHERE kind = 'health'
ORDER BY logged_at DESC
LIMIT 1
