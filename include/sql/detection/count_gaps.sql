-- What a detection found, per partition, table and state: from a stored plan, or detected anew without
-- writing anything.
-- Parameters: states, priority_team_ids (the teams whose dates go first); plan_id (stored), or those of
--   detection/coverage.sql: date_start, date_end, since, min_daily_pageviews, stale_min_events, with the external
--   table selected_teams.
-- Columns: partition_date, table_name, state, teams, source_pageviews, priority_teams.
SELECT
    partition_date,
    table_state.1 AS table_name,
    table_state.2 AS state,
    sum(teams_of_both) AS teams,
    sum(pageviews_of_both) AS source_pageviews,
    sum(priority_teams_of_both) AS priority_teams
FROM
(
    SELECT
        partition_date,
        stats_state,
        bounces_state,
        count() AS teams_of_both,
        sum(source_pageviews) AS pageviews_of_both,
        countIf(has(%(priority_team_ids)s, team_id)) AS priority_teams_of_both
{% if stored %}
    FROM web_analytics_backfill_plan
    WHERE plan_id = %(plan_id)s
{% else %}
    FROM
    (
{% include "detection/states.sql" %}
    )
{% endif %}
    GROUP BY partition_date, stats_state, bounces_state
)
ARRAY JOIN
[
    ('web_pre_aggregated_stats', toString(stats_state)),
    ('web_pre_aggregated_bounces', toString(bounces_state))
] AS table_state
WHERE table_state.2 IN %(states)s
GROUP BY partition_date, table_name, state
ORDER BY partition_date DESC, table_name, state
