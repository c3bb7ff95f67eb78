-- How many gaps each team has on these days, in (day, table) pairs. Teams without gaps have no row.
-- Parameters: date_start, date_end (closed days only), since, min_daily_pageviews, stale_min_events
--   (detection/coverage.sql); of months whose states are kept (from_kept) keep_ids instead of the last three. External table
--   selected_teams (team_id).
-- Columns: team_id; missing, inconsistent, stale, orphan; waiting_pageviews: source pageviews of its days with a gap;
--   oldest_gap.
SELECT
    team_id,
    countIf(stats_state = 'missing') + countIf(bounces_state = 'missing') AS missing,
    countIf(stats_state = 'inconsistent') + countIf(bounces_state = 'inconsistent') AS inconsistent,
    countIf(stats_state = 'stale') + countIf(bounces_state = 'stale') AS stale,
    countIf(stats_state = 'orphan') + countIf(bounces_state = 'orphan') AS orphan,
    sum(source_pageviews) AS waiting_pageviews,
    min(partition_date) AS oldest_gap
FROM
(
{% if from_kept %}
{% include "detection/kept_states.sql" %}
{% else %}
{% include "detection/coverage.sql" %}
{% endif %}
)
WHERE stats_state NOT IN ('complete', 'idle', 'small') OR bounces_state NOT IN ('complete', 'idle', 'small')
GROUP BY team_id
