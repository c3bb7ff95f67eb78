-- Writes a version of a team's registration, newer than the one there is.
-- Parameters: team_id, enabled, timezone, backfill_days, name, mute_low_volume, changed_by, token (of the registry's lock: without it,
--   nothing).
{% import "macros.sql" as macros %}
INSERT INTO web_pre_aggregated_teams (team_id, enabled, timezone, backfill_days, name, mute_low_volume, enabled_by, version)
SELECT
    %(team_id)s,
    %(enabled)s,
    %(timezone)s,
    %(backfill_days)s,
    %(name)s,
    %(mute_low_volume)s,
    %(changed_by)s,
    {{ macros.newer_than("max(version)") }}
FROM web_pre_aggregated_teams
WHERE team_id = %(team_id)s
HAVING %(token)s IN
(
    SELECT comment
    FROM system.tables
    WHERE database = currentDatabase() AND name = 'web_analytics_lock_teams'
)
