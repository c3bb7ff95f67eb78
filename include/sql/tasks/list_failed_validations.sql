-- The dates of a run whose last validation failed.
-- Parameters: dag_id, run_id. Columns: partition_date.
SELECT partition_date
FROM web_analytics_backfill_log
WHERE kind = 'validation' AND dag_id = %(dag_id)s AND run_id = %(run_id)s
GROUP BY partition_date
HAVING argMax(status, logged_at) = 'failed'
ORDER BY partition_date DESC
