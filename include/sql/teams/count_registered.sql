-- How many teams are registered, enabled or not.
-- Parameters: none. Columns: teams.
SELECT count() AS teams
FROM web_pre_aggregated_teams FINAL
