-- Whether the table of events lies on several nodes.
-- Parameters: none. Columns: is_distributed.
SELECT count() > 0 AS is_distributed
FROM system.tables
WHERE database = currentDatabase() AND name = 'events' AND engine = 'Distributed'
