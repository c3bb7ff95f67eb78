-- Records that a migration was run.
-- Parameters: migration.
INSERT INTO web_analytics_schema_migrations (migration) SELECT %(migration)s
