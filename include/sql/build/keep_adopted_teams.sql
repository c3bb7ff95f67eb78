-- Leaves only the adopted teams in a build's list.
-- Parameters: team_ids.
DELETE FROM {{ build_teams }}
WHERE NOT has(%(team_ids)s, toInt64(team_id))
SETTINGS lightweight_deletes_sync = 2, mutations_sync = 2
