-- Lists those teams of a build that are not left out.
-- Parameters: none. External table selected_teams (team_id): those that are.
INSERT INTO {{ selected }} (team_id)
SELECT team_id
FROM {{ build_teams }}
WHERE team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
