-- The parts of a day that were replaced and are still on the disk.
-- Parameters: partition_id (YYYYMMDD), tables. Columns: parts.
SELECT count() AS parts
FROM system.parts
WHERE database = currentDatabase() AND table IN %(tables)s AND partition_id = %(partition_id)s AND NOT active
