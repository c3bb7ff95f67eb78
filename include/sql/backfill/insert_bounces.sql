-- Aggregates the staged sessions into rows of web_pre_aggregated_bounces, in a fresh table.
-- Parameters: none.
{% import "macros.sql" as macros %}
INSERT INTO {{ fresh }}
(
    {{ macros.common_columns | join(", ") }},
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
)
SELECT
    {{ macros.common_columns | join(", ") }},
    uniqState(person_id),
    uniqState(session_id),
    sumState(toUInt64(length(pathnames))),
    sumState(toUInt64(is_bounce)),
    sumState(duration_seconds),
    sumState(toUInt64(1))
FROM {{ sessions }}
GROUP BY {{ macros.common_columns | join(", ") }}
