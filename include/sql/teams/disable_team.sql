-- Disables a team that is enabled, as a new version of its row.
-- Parameters: team_id, changed_by.
INSERT INTO web_pre_aggregated_teams (team_id, enabled, timezone, backfill_days, name, enabled_by, version)
SELECT
    team_id,
    false,
    timezone,
    backfill_days,
    name,
    %(changed_by)s,
    greatest(now64(6, 'UTC'), version + INTERVAL 1 MICROSECOND)
FROM web_pre_aggregated_teams FINAL
WHERE team_id = %(team_id)s AND enabled
