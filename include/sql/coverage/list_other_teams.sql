-- Teams that send events on these days or are registered, but are not enabled.
-- Parameters: date_start, date_end. External table selected_teams (team_id): the enabled ones.
-- Columns: team_id.
SELECT team_id
FROM web_pre_aggregated_teams
WHERE team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
GROUP BY team_id
UNION DISTINCT
SELECT toUInt64(team_id)
FROM web_analytics_source_events
WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC')
  AND team_id NOT IN (SELECT team_id FROM selected_teams)
GROUP BY team_id
