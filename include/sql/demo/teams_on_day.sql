-- Teams with pageviews on one day, the busiest first.
-- Parameters: day. Columns: team_id.
SELECT team_id
FROM events
WHERE event = '$pageview'
  AND timestamp >= toDateTime64(%(day)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(day)s, 6, 'UTC') + INTERVAL 1 DAY
GROUP BY team_id
ORDER BY count() DESC, team_id
