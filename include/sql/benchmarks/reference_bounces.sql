-- The shape of the earlier systems, for comparison: see benchmarks/reference_stats.sql.
-- Parameters: date_start, date_end. External table selected_teams (team_id).
{% import "macros.sql" as macros %}
INSERT INTO {{ table }}
(
    {{ macros.common_columns | join(", ") }},
    persons_uniq_state, sessions_uniq_state, pageviews_count_state,
    bounces_count_state, total_session_duration_state, total_session_count_state
)
{% include "benchmarks/reference_events.sql" %}
SELECT
    {{ macros.common_columns | join(", ") }},
    uniqState(person) AS persons_uniq_state, uniqState(session_id) AS sessions_uniq_state,
    sumState(pageviews) AS pageviews_count_state, sumState(bounces) AS bounces_count_state,
    sumState(duration) AS total_session_duration_state, sumState(toUInt64(1)) AS total_session_count_state
FROM
(
    SELECT
        session_id,
        {% for column in macros.common_columns %}any({{ column }}) AS {{ column }}, {% endfor %}
        any(person) AS person,
        toUInt64(countIf(event IN {{ macros.pageview_events }})) AS pageviews,
        toUInt64(any(is_bounce)) AS bounces,
        any(seconds) AS duration
    FROM joined
    GROUP BY session_id
)
WHERE pageviews > 0
GROUP BY {{ macros.common_columns | join(", ") }}
