-- The state of a team's first backfill; none where there was none.
-- Parameters: team_id. Columns: team_id, state, date_start, date_end, run_id, reason, version.
SELECT team_id, state, date_start, date_end, run_id, reason, version
FROM web_analytics_team_backfills FINAL
WHERE team_id = %(team_id)s
