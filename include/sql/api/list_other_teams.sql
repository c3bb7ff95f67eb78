-- Teams that send events on these days or are registered, but are not enabled.
-- Parameters: date_start, date_end. External table selected_teams (team_id): the enabled ones.
--   activity_is_kept: from web_analytics_activity, else from a scan of the source.
-- Columns: team_id.
SELECT team_id
FROM web_pre_aggregated_teams
WHERE team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
GROUP BY team_id
UNION DISTINCT
{% if activity_is_kept %}
SELECT team_id
FROM web_analytics_activity
WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
  AND team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
GROUP BY team_id
{% else %}
SELECT toUInt64(team_id)
FROM web_analytics_source_events
WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC')
  AND team_id GLOBAL NOT IN (SELECT team_id FROM selected_teams)
GROUP BY team_id
{% endif %}
