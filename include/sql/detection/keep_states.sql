-- Keeps the states of the days of a month, team by team.
-- Parameters: keep_id, days_kept (how long), gap_kinds and those of detection/coverage.sql: date_start, date_end, since,
--   min_daily_pageviews, stale_min_events. External table selected_teams (team_id).
INSERT INTO web_analytics_kept_states (keep_id, team_id, days, stats_states, bounces_states, source_pageviews, gaps, kept_until)
SELECT
    %(keep_id)s,
    team_id,
    groupArray(partition_date),
    groupArray(stats_state),
    groupArray(bounces_state),
    groupArray(source_pageviews),
    countIf(stats_state IN %(gap_kinds)s OR bounces_state IN %(gap_kinds)s),
    now('UTC') + toIntervalDay(%(days_kept)s)
FROM
(
{% include "detection/coverage.sql" %}
)
GROUP BY team_id
