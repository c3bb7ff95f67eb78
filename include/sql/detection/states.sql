-- The states of team-days, for who looks for missing days only (only_missing) or for all kinds of gap. Part of other
-- statements.
-- Parameters: date_start, date_end, since, min_daily_pageviews, stale_min_events. External table selected_teams (team_id).
-- Columns: those of detection/missing.sql or of detection/coverage.sql; both have what a plan needs.
{% if only_missing %}
{% include "detection/missing.sql" %}
{% else %}
{% include "detection/coverage.sql" %}
{% endif %}
