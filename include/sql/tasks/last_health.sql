-- The newest health check.
-- Parameters: none. Columns: logged_at, status, details.
SELECT logged_at, status, details
FROM web_analytics_backfill_log
WHERE kind = 'health'
ORDER BY logged_at DESC
LIMIT 1
