-- The state of one team on one day.
-- Parameters: date_start, date_end (the day), since, min_daily_pageviews, stale_min_events. External table selected_teams (team_id): the team.
-- Columns: those of detection/coverage.sql; no row where nothing is known of the day.
SELECT *
FROM
(
{% include "detection/coverage.sql" %}
)
