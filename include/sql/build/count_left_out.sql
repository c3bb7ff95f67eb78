-- How many teams of a build are not among others.
-- Parameters: none. External table selected_teams (team_id). Columns: teams.
SELECT count() AS teams
FROM {{ build_teams }}
WHERE team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
