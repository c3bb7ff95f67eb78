-- Stores a detection: the team-days whose state in either table is one of those asked for.
-- Parameters: plan_id, states and those of detection/coverage.sql: date_start, date_end, since,
--   min_daily_pageviews, stale_min_events; of months whose states are kept (from_kept) keep_ids instead of the last three.
--   External table selected_teams (team_id).
INSERT INTO web_analytics_backfill_plan
    (plan_id, partition_date, team_id, stats_state, bounces_state, source_pageviews)
SELECT %(plan_id)s, partition_date, team_id, stats_state, bounces_state, source_pageviews
FROM
(
{% if from_kept %}
{% include "detection/kept_states.sql" %}
{% else %}
{% include "detection/states.sql" %}
{% endif %}
)
WHERE stats_state IN %(states)s OR bounces_state IN %(states)s
