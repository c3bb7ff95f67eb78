-- Creates the list of the migrations that were run on this database.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS web_analytics_schema_migrations{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
(
    migration String COMMENT 'the name of a file in include/sql/migrations',
    migrated_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = {{ "Replicated" if topology != "single" }}MergeTree
ORDER BY migration
