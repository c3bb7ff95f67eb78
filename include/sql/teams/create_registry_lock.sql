-- Takes the lock of the registry of teams: creating a table succeeds for one contender only (57 for all others).
-- Parameters: token.
CREATE TABLE web_analytics_lock_teams
(
    taken UInt8
)
ENGINE = MergeTree
ORDER BY tuple()
COMMENT %(token)s
