-- The failed attempts since an instant by error code, the most frequent first; code 0 is an error of the package.
-- Parameters: since. Columns: error_code, failures, first_at, last_at, last_reason.
SELECT
    error_code,
    count() AS failures,
    min(logged_at) AS first_at,
    max(logged_at) AS last_at,
    argMax(reason, logged_at) AS last_reason
FROM web_analytics_backfill_log
WHERE kind = 'attempt' AND status = 'failed' AND logged_at >= %(since)s
GROUP BY error_code
ORDER BY failures DESC, error_code
LIMIT 20
