-- Creates the session staging table: one row per bucket, team and session.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ sessions }}
(
    period_bucket DateTime('UTC'),
    team_id UInt64,
    session_id String,
    person_id UUID,
    host String,
    device_type String,
{% include "schema/dimension_columns.sql" %}
    pathnames Array(String) COMMENT 'one element per pageview',
    duration_seconds Int64,
    is_bounce Bool
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY (team_id, period_bucket)
