-- The shape of the earlier systems, for comparison: events joined with aggregates of their sessions and with merged
-- people, one table at a time. Places a session's pageviews on the event's own day, so its result is not exact.
-- Parameters: date_start, date_end. External table selected_teams (team_id).
{% import "macros.sql" as macros %}
INSERT INTO {{ table }}
(
    {{ macros.common_columns | join(", ") }},
    pathname, persons_uniq_state, sessions_uniq_state, pageviews_count_state
)
{% include "benchmarks/reference_events.sql" %}
SELECT
    {{ macros.common_columns | join(", ") }},
    pathname,
    uniqState(person) AS persons_uniq_state,
    uniqState(session_id) AS sessions_uniq_state, sumState(toUInt64(1)) AS pageviews_count_state
FROM joined
WHERE event IN {{ macros.pageview_events }}
GROUP BY {{ macros.common_columns | join(", ") }}, pathname
