-- Creates the kept states of months: one or two rows for each team and month, which web_analytics_kept_months
-- lists. Days of which there is nothing to say are left out. Granules are small, since a page asks for a few teams.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_kept_states{{ lasting.on_cluster }}
(
    keep_id String,
    team_id UInt64,
    days Array(Date),
    stats_states Array(LowCardinality(String)) COMMENT 'in the order of days, as all arrays here',
    bounces_states Array(LowCardinality(String)),
    source_pageviews Array(UInt64),
    gaps UInt8 COMMENT 'days with a gap in either table',
    kept_until DateTime('UTC')
)
ENGINE = {{ lasting.engine("MergeTree") }}
ORDER BY (keep_id, team_id)
TTL kept_until
SETTINGS index_granularity = 256
