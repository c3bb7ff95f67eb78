-- Enables one team.
-- Parameters: team_id, backfill_days.
INSERT INTO web_pre_aggregated_teams (team_id, enabled, timezone, backfill_days, enabled_by, version)
SELECT %(team_id)s, true, 'UTC', %(backfill_days)s, 'demo', 1
