-- Aggregates the staged sessions into rows of web_pre_aggregated_stats, in a fresh table. Rows of one key are added
-- up by the engine when it sorts what it writes (optimize_on_insert): grouping them before would only cost more.
-- Parameters: none.
{% import "macros.sql" as macros %}
INSERT INTO {{ fresh }}
(
    {{ macros.common_columns | join(", ") }},
    pathname, persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
SELECT
    {{ macros.common_columns | join(", ") }},
    pathname,
    initializeAggregation('uniqState', person_id),
    initializeAggregation('uniqState', session_id),
    initializeAggregation('sumState', toUInt64(1))
FROM {{ sessions }}
ARRAY JOIN pathnames AS pathname
