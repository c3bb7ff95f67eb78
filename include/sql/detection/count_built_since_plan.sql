-- How many of the teams that a plan names for one partition have been built there since, in either table. By the server's clock:
-- a build that ended within the second in which the plan was made counts.
-- Parameters: plan_id, partition_date. Columns: teams.
WITH planned AS
(
    SELECT team_id, planned_at
    FROM web_analytics_backfill_plan
    WHERE plan_id = %(plan_id)s AND partition_date = %(partition_date)s
)
SELECT uniqExact(team_id) AS teams
FROM web_analytics_backfill_ledger
WHERE partition_date = %(partition_date)s
  AND team_id IN (SELECT team_id FROM planned)
  AND built_at >= (SELECT min(planned_at) FROM planned)
