-- The newest failures on one day since it was last published, of any team: why a gap is still there.
-- Parameters: partition_date, row_limit. Columns: logged_at, kind, dag_id, run_id, task_id, map_index, error_code,
--   reason.
SELECT logged_at, kind, dag_id, run_id, task_id, map_index, error_code, reason
FROM web_analytics_backfill_log
WHERE kind IN ('attempt', 'validation')
  AND partition_date = %(partition_date)s
  AND status = 'failed'
  AND logged_at >
  (
      SELECT maxOrDefaultIf(logged_at, status = 'succeeded' AND endsWith(task_id, 'publish'))
      FROM web_analytics_backfill_log
      WHERE kind = 'attempt' AND partition_date = %(partition_date)s
  )
ORDER BY logged_at DESC
LIMIT %(row_limit)s
