-- The columns of the source view and their types, to check another source's view against.
-- Parameters: none. Columns: name, type.
SELECT name, type
FROM system.columns
WHERE database = currentDatabase() AND table = 'web_analytics_source_events'
ORDER BY name
