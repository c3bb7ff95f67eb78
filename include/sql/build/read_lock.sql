-- The lock of a date and the markers by which it was taken over: who made them and when.
-- Parameters: lock_table, takeover_prefix. Columns: name, comment, created_at.
SELECT name, comment, metadata_modification_time AS created_at
FROM system.tables
WHERE database = currentDatabase() AND (name = %(lock_table)s OR startsWith(name, %(takeover_prefix)s))
ORDER BY name
