-- The migrations that were run on this database.
-- Parameters: none. Columns: migration.
SELECT DISTINCT migration
FROM web_analytics_schema_migrations
ORDER BY migration
