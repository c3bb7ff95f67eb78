-- The dates of which a lock, a takeover marker or a per-run table exists.
-- Parameters: none. Columns: partition_id (YYYYMMDD).
SELECT DISTINCT extract(name, '^web_analytics_(?:lock|takeover|build)_([0-9]{8})(?:_|$)') AS partition_id
FROM system.tables
WHERE database = currentDatabase() AND partition_id != ''
ORDER BY partition_id
