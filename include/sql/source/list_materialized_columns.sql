-- Which properties the events table of this installation has as columns of their own.
-- Parameters: none. Columns: name.
SELECT name
FROM system.columns
WHERE database = currentDatabase() AND table = 'events' AND startsWith(name, 'mat_')
ORDER BY name
