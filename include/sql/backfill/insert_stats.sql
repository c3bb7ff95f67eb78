-- Aggregates the staged sessions into rows of web_pre_aggregated_stats, in a fresh table.
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
    uniqState(person_id),
    uniqState(session_id),
    sumState(toUInt64(1))
FROM {{ sessions }}
ARRAY JOIN pathnames AS pathname
GROUP BY {{ macros.common_columns | join(", ") }}, pathname
