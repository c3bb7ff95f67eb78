-- Lists those teams of a build that are still selected.
-- Parameters: none. External table selected_teams (team_id).
INSERT INTO {{ selected }} (team_id)
SELECT team_id
FROM {{ build_teams }}
WHERE team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
