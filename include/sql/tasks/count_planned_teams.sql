-- How many teams a plan names on some of its dates.
-- Parameters: plan_id, dates. Columns: teams.
SELECT uniqExact(team_id) AS teams
FROM web_analytics_backfill_plan
WHERE plan_id = %(plan_id)s AND partition_date IN %(dates)s
