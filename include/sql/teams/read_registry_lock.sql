-- Who holds the lock of the registry of teams, and for how long.
-- Parameters: none. Columns: token, age_seconds (NULL where the server does not know it: of a table whose metadata file
--   has no name yet, and of every table in a database that keeps none); no row where nobody does.
SELECT
    comment AS token,
    if(metadata_modification_time > toDateTime('1971-01-01 00:00:00', 'UTC'),
       dateDiff('second', metadata_modification_time, now()), NULL) AS age_seconds
FROM system.tables
WHERE database = currentDatabase() AND name = 'web_analytics_lock_teams'
