-- Lists the events of a day that have several rows in the source: sent or ingested more than once. A row's bucket is
-- not needed to tell; an event of the next day on the list does no harm.
-- Parameters: date_start, date_end.
INSERT INTO {{ repeated }} (uuid)
SELECT uuid
FROM web_analytics_source_events
WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
  AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
GROUP BY uuid
HAVING count() > 1
