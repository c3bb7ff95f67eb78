-- Who holds the lock of the registry of teams, and for how long.
-- Parameters: none. Columns: token, age_seconds; no row where nobody does.
SELECT comment AS token, dateDiff('second', metadata_modification_time, now()) AS age_seconds
FROM system.tables
WHERE database = currentDatabase() AND name = 'web_analytics_lock_teams'
  -- a table is visible before its metadata file has its name; meanwhile the server says 1970
  AND metadata_modification_time > toDateTime('1971-01-01 00:00:00', 'UTC')
