-- A page of the registered teams, enabled or not: the newest version of each.
-- Parameters: limit, offset. Columns: team_id, enabled, timezone, backfill_days, name, mute_low_volume, changed_by, changed_at.
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
ORDER BY team_id
LIMIT %(limit)s OFFSET %(offset)s
