-- Creates the plans: which teams of which partition a detection found, in which state. Keyed by detection, so
-- that a repeated detection never mixes with its predecessor. Kept for 30 days.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_backfill_plan{{ lasting.on_cluster }}
(
    plan_id String,
    partition_date Date,
    team_id UInt64,
    stats_state LowCardinality(String),
    bounces_state LowCardinality(String),
    source_pageviews UInt64,
    planned_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = {{ lasting.engine("MergeTree") }}
PARTITION BY toYYYYMM(planned_at)
ORDER BY (plan_id, partition_date, team_id)
TTL planned_at + INTERVAL 30 DAY
