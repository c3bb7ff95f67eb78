-- The states of team-days as they are kept of months. Part of other statements.
-- Parameters: keep_ids, date_start, date_end. External table selected_teams (team_id). only_gaps: of teams that have a gap in
--   the month.
-- Columns: team_id, partition_date, stats_state, bounces_state, source_pageviews.
SELECT team_id, partition_date, stats_state, bounces_state, pageviews AS source_pageviews
FROM web_analytics_kept_states
ARRAY JOIN
    days AS partition_date, stats_states AS stats_state, bounces_states AS bounces_state, source_pageviews AS pageviews
WHERE keep_id IN %(keep_ids)s
  AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
{% if only_gaps %}
  AND gaps > 0
{% endif %}
  AND partition_date >= %(date_start)s AND partition_date < %(date_end)s
