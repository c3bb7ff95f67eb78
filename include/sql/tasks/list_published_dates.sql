-- The dates that a run published, as its log tells.
-- Parameters: dag_id, run_id, task_id (of the step that publishes). Columns: partition_date, team_count, details.
SELECT partition_date, argMax(team_count, logged_at) AS team_count, argMax(details, logged_at) AS details
FROM web_analytics_backfill_log
WHERE kind = 'attempt' AND dag_id = %(dag_id)s AND run_id = %(run_id)s
  AND task_id = %(task_id)s AND status = 'succeeded'
GROUP BY partition_date
ORDER BY partition_date DESC
