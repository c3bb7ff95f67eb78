-- Gives back the lock of the registry of teams.
-- Parameters: none.
DROP TABLE IF EXISTS web_analytics_lock_teams SYNC
