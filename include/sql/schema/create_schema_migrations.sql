-- Creates the list of the migrations that were run on this database.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_schema_migrations{{ lasting.on_cluster }}
(
    migration String COMMENT 'the name of a file in include/sql/migrations',
    migrated_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = {{ lasting.engine("MergeTree") }}
ORDER BY migration
