-- The state of a team's days in both tables; idle days are left out.
-- Parameters: date_start, date_end, since, min_daily_pageviews, stale_min_events.
--   External table selected_teams (team_id).
-- Columns: partition_date, stats, bounces, pageviews.
SELECT
    partition_date,
    toString(stats_state) AS stats,
    toString(bounces_state) AS bounces,
    source_pageviews AS pageviews
FROM
(
{% include "detection/coverage.sql" %}
)
WHERE NOT (stats = 'idle' AND bounces = 'idle')
ORDER BY partition_date DESC
