-- The teams that a plan names for one partition.
-- Parameters: plan_id, partition_date. Columns: team_id.
SELECT DISTINCT team_id
FROM web_analytics_backfill_plan
WHERE plan_id = %(plan_id)s AND partition_date = %(partition_date)s
ORDER BY team_id
