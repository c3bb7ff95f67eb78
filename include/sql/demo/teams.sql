-- Enables the teams of events except every sixth; the twelfth was enabled once and is not any more.
-- Parameters: backfill_days.
INSERT INTO web_pre_aggregated_teams (team_id, enabled, timezone, backfill_days, enabled_by, version)
SELECT
    team_id,
    team_id %% 6 != 0 OR (team_id = 12 AND version = 1),
    ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo'][1 + team_id %% 4],
    %(backfill_days)s,
    'demo',
    version
FROM
(
    SELECT toUInt64(team_id) AS team_id, arrayJoin(if(team_id = 12, [1, 2], [1])) AS version
    FROM events
    GROUP BY team_id
)
WHERE team_id %% 6 != 0 OR team_id = 12
