-- Deletes the teams of a build from the clone of a target's day. Waits until it is done: parts that were
-- attached before an unfinished delete would be published with the old rows in them.
-- Parameters: none.
DELETE FROM {{ clone }}
WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
SETTINGS lightweight_deletes_sync = 2, mutations_sync = 2
