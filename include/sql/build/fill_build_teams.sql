-- Lists the teams of a build.
-- Parameters: none. External table selected_teams (team_id).
INSERT INTO {{ build_teams }} (team_id)
SELECT toUInt64(team_id)
FROM selected_teams
