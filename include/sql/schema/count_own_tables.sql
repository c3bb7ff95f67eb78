-- Counts what is here of the package already, or of PostHog under the same names.
-- Parameters: none.
-- Columns: tables.
SELECT count() AS tables
FROM system.tables
WHERE database = currentDatabase() AND (startsWith(name, 'web_analytics_') OR startsWith(name, 'web_pre_aggregated_'))
