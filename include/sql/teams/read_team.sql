-- The newest version of a team's row; none where the team was never registered.
-- Parameters: team_id. Columns: team_id, enabled.
SELECT team_id, enabled
FROM web_pre_aggregated_teams FINAL
WHERE team_id = %(team_id)s
