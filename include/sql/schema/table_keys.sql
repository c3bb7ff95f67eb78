-- Engine and keys of a table; no row where it does not exist.
-- Parameters: table_name. Columns: engine, partition_key, primary_key, sorting_key.
SELECT engine, partition_key, primary_key, sorting_key
FROM system.tables
WHERE database = currentDatabase() AND name = %(table_name)s
