-- The newest version of a team's registration; none where it was never registered.
-- Parameters: team_id. Columns: team_id, enabled, timezone, backfill_days, name, mute_low_volume, changed_by, changed_at.
SELECT
    team_id,
    enabled,
    timezone,
    backfill_days,
    name,
    mute_low_volume,
    enabled_by AS changed_by,
    version AS changed_at
FROM web_pre_aggregated_teams FINAL
WHERE team_id = %(team_id)s
