-- Creates the ledger: for each (partition, team, table) the build that its rows come from. The newest
-- built_at holds. row_count 0 records that a build found nothing to store.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_backfill_ledger{{ lasting.on_cluster }}
(
    table_name LowCardinality(String),
    partition_date Date,
    team_id UInt64,
    build LowCardinality(String) COMMENT 'names one publishing; equal in all tables once it is whole',
    newest_ingested_at DateTime64(6, 'UTC') COMMENT 'newest ingestion time of the source before it was read',
    source_events UInt64 COMMENT 'events of any kind that were read',
    source_fingerprint UInt64 COMMENT 'sum of a hash of each of these events',
    pageviews UInt64,
    sessions UInt64,
    row_count UInt64,
    built_at DateTime64(6, 'UTC'),
    first_built_at DateTime64(6, 'UTC') DEFAULT built_at
        COMMENT 'when a build was recorded for the first time; 1970 where only a cleanup was',
    dag_id LowCardinality(String),
    run_id String,
    query_id String
)
ENGINE = {{ lasting.engine("ReplacingMergeTree", "built_at") }}
PARTITION BY toYYYYMM(partition_date)
ORDER BY (partition_date, team_id, table_name)
