-- The per-run tables of one lock.
-- Parameters: prefix (common beginning of their names). Columns: name.
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, %(prefix)s)
ORDER BY name
