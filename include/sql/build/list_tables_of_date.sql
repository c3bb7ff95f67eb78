-- What there is of a date: its lock, the markers by which it was taken over, and the per-run tables of its builds; who made
-- a lock or marker says its comment.
-- Parameters: lock_table, takeover_prefix, build_prefix. Columns: name, comment, created_at.
SELECT name, comment, metadata_modification_time AS created_at
FROM system.tables
WHERE database = currentDatabase()
  AND (name = %(lock_table)s OR startsWith(name, %(takeover_prefix)s) OR startsWith(name, %(build_prefix)s))
ORDER BY name
