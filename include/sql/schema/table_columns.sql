-- The columns of a table.
-- Parameters: table_name. Columns: name, type.
SELECT name, type
FROM system.columns
WHERE database = currentDatabase() AND table = %(table_name)s
ORDER BY position
