-- The average size of a table's row, uncompressed, all columns.
-- Parameters: database, table. Columns: row_bytes.
SELECT sum(data_uncompressed_bytes) / greatest(sum(rows), 1) AS row_bytes
FROM system.parts
WHERE active AND database = %(database)s AND table = %(table)s
