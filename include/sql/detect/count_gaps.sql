-- What a detection found, per partition, table and state: from a stored plan, or detected anew without
-- writing anything.
-- Parameters: states; plan_id (stored), or date_start and date_end with the external table selected_teams.
-- Columns: partition_date, table_name, state, teams, source_pageviews.
SELECT
    partition_date,
    table_state.1 AS table_name,
    table_state.2 AS state,
    count() AS teams,
    sum(source_pageviews) AS source_pageviews
{% if stored %}
FROM web_analytics_backfill_plan
{% else %}
FROM
(
{% include "detect/coverage.sql" %}
)
{% endif %}
ARRAY JOIN
[
    ('web_pre_aggregated_stats', toString(stats_state)),
    ('web_pre_aggregated_bounces', toString(bounces_state))
] AS table_state
WHERE table_state.2 IN %(states)s
{% if stored %}
  AND plan_id = %(plan_id)s
{% endif %}
GROUP BY partition_date, table_name, state
ORDER BY partition_date DESC, table_name, state
