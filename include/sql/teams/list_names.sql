-- The names of teams, of those that have one.
-- Parameters: none. External table selected_teams (team_id).
-- Columns: team_id, name.
SELECT team_id, name
FROM web_pre_aggregated_teams FINAL
WHERE team_id IN (SELECT toUInt64(team_id) FROM selected_teams) AND name != ''
