-- Creates the kept activity of the source: for each day of the bucket rule, team and day of ingestion what the
-- source holds. Each scan of the source covers whole days of ingestion, so the row of the newest scan holds and
-- a repeated scan changes nothing. Teams that are not enabled are kept too: enabling one needs no scan.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_activity{{ lasting.on_cluster }}
(
    partition_date Date,
    team_id UInt64,
    ingested_on Date COMMENT 'UTC day of ingestion',
    pageviews UInt64 COMMENT 'events that the writer would take',
    events UInt64 COMMENT 'events of any kind whose row was ingested on this day',
    fingerprint UInt64 COMMENT 'sum of a hash of each of these events',
    newest_ingested_at DateTime64(6, 'UTC'),
    scanned_at DateTime64(6, 'UTC') COMMENT 'when the scan began'
)
ENGINE = {{ lasting.engine("ReplacingMergeTree", "scanned_at") }}
PARTITION BY toYYYYMM(partition_date)
ORDER BY (partition_date, team_id, ingested_on)
