-- Creates the history of the scans that keep web_analytics_activity: what it covers is the union of them.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_activity_scans{{ lasting.on_cluster }}
(
    source LowCardinality(String) COMMENT 'WEB_ANALYTICS_SOURCE; what another source gave does not count',
    kind LowCardinality(String) COMMENT 'refresh, extension or reconciliation',
    date_start Date COMMENT 'the days scanned: from this one',
    date_end Date COMMENT 'up to, not including, this one',
    watermark DateTime64(6, 'UTC') COMMENT 'rows ingested before it are known',
    scanned_at DateTime64(6, 'UTC') COMMENT 'when the scan began',
    rows_read UInt64,
    seconds Float64
)
ENGINE = {{ lasting.engine("MergeTree") }}
ORDER BY (source, scanned_at)
