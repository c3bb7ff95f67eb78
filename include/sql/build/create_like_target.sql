-- Creates an empty table with a target's columns and keys. On a cluster its engine is named: a copy of the
-- whole definition would ask Keeper for the target's own path.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ table }} AS {{ target }}
{% if replicated %}
ENGINE = {{ "Replicated" if replicated_builds }}AggregatingMergeTree
PARTITION BY toYYYYMMDD(period_bucket)
PRIMARY KEY ({{ primary_key | join(", ") }})
ORDER BY ({{ sorting_key | join(", ") }})
{% endif %}
