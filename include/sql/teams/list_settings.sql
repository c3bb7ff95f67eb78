-- What is registered of teams.
-- Parameters: none. External table selected_teams (team_id).
-- Columns: team_id, enabled, timezone, backfill_days.
SELECT team_id, enabled, timezone, backfill_days
FROM web_pre_aggregated_teams FINAL
WHERE team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
