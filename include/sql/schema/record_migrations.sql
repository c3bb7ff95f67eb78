-- Records that migrations were run, or that the tables are of a version that needs none of them.
-- Parameters: migrations (array of names).
INSERT INTO web_analytics_schema_migrations (migration) SELECT arrayJoin(%(migrations)s)
