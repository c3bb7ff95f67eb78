-- What building a date would read of the source, estimated from the primary key alone.
-- Parameters: date_start, date_end. External table selected_teams (team_id).
-- Columns: database, table, parts, rows, marks.
EXPLAIN ESTIMATE
SELECT count()
FROM web_analytics_source_events
WHERE team_id GLOBAL IN (SELECT team_id FROM selected_teams)
  AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
