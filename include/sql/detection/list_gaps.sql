-- The team-days whose state in either table is one of those asked for.
-- Parameters: date_start, date_end, since, min_daily_pageviews, stale_min_events, states.
--   External table selected_teams (team_id).
-- Columns: team_id, partition_date, stats_state, bounces_state.
SELECT team_id, partition_date, stats_state, bounces_state
FROM
(
{% include "detection/coverage.sql" %}
)
WHERE stats_state IN %(states)s OR bounces_state IN %(states)s
ORDER BY partition_date DESC, team_id
