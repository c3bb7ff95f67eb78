-- What the table of events takes on disk, its projections among it.
-- Parameters: none. Columns: megabytes.
SELECT sum(bytes_on_disk) / 1e6 AS megabytes
FROM system.parts
WHERE database = currentDatabase() AND table = 'events' AND active
