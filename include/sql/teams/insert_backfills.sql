-- Records states of first backfills. Rows: team_id, state, date_start, date_end, run_id, reason, version.
INSERT INTO web_analytics_team_backfills (team_id, state, date_start, date_end, run_id, reason, version) VALUES
