-- Creates the target web_pre_aggregated_stats: one row per bucket, team, pathname and the other dimensions.
-- Parameters: none.
{% import "macros.sql" as macros %}
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS {{ table }}{{ lasting.on_cluster }}
(
    period_bucket DateTime('UTC'),
    team_id UInt64,
    host String,
    device_type String,
    pathname String,
{% include "schema/dimension_columns.sql" %}
    persons_uniq_state AggregateFunction(uniq, UUID),
    sessions_uniq_state AggregateFunction(uniq, String),
    pageviews_count_state AggregateFunction(sum, UInt64)
)
ENGINE = {{ lasting.engine("AggregatingMergeTree") }}
PARTITION BY toYYYYMMDD(period_bucket)
ORDER BY (team_id, period_bucket, host, device_type, pathname, {{ macros.dimensions | join(", ") }})
COMMENT 'Written only by the web_analytics DAGs: any other write makes its sums wrong.'
