-- The state of each team's first backfill.
-- Parameters: none. Columns: team_id, state, date_start, date_end, run_id, reason, version.
SELECT team_id, state, date_start, date_end, run_id, reason, version
FROM web_analytics_team_backfills FINAL
