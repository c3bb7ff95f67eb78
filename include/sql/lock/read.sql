-- Who holds the lock of a date and since when.
-- Parameters: lock_table. Columns: comment, acquired_at.
SELECT comment, metadata_modification_time AS acquired_at
FROM system.tables
WHERE database = currentDatabase() AND name = %(lock_table)s
