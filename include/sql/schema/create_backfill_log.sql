-- Creates the append-only history: decisions, attempts, validations and all else that `kind` names.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_backfill_log{{ lasting.on_cluster }}
(
    logged_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'),
    kind LowCardinality(String)
        COMMENT 'decision, wait (for a busy server), attempt, validation, adoption, cleanup, team (its registration changed) or health',
    dag_id LowCardinality(String),
    run_id String,
    task_id LowCardinality(String),
    map_index Int32,
    try_number UInt16,
    partition_date Nullable(Date),
    table_name LowCardinality(String),
    status LowCardinality(String) COMMENT 'decisions: backfill or skip; cleanups also rejected; waits: waiting or over; health: ok, degraded or failing; all others: succeeded or failed',
    reason String,
    error_code Int32,
    seconds Float64,
    rows_read UInt64,
    bytes_read UInt64,
    peak_memory_bytes Nullable(UInt64) COMMENT 'NULL where the server keeps no query_log',
    team_count UInt64,
    query_id String,
    details String COMMENT 'JSON: the numbers behind a decision, what an attempt built'
)
ENGINE = {{ lasting.engine("MergeTree") }}
PARTITION BY toYYYYMM(logged_at)
ORDER BY (kind, logged_at)
