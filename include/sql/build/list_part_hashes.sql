-- What the parts of a day hold in several tables: tables with the same hashes have the same rows.
-- Parameters: partition_id (YYYYMMDD), tables. Columns: table, hashes; no row for a table without parts.
SELECT table, arraySort(groupArray((hash_of_all_files, rows))) AS hashes
FROM system.parts
WHERE database = currentDatabase() AND table IN %(tables)s AND partition_id = %(partition_id)s AND active
GROUP BY table
