-- Creates the history of the scans that keep web_analytics_activity: what it covers is the union of them.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS web_analytics_activity_scans{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
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
ENGINE = {{ "Replicated" if topology != "single" }}MergeTree
ORDER BY (source, scanned_at)
