-- The raw rows that the buckets of a range of days can come from, of some teams, as plain values.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty).
-- Columns: team_id, uuid, event, at (microseconds), session, distinct_id, person_id, properties ('' of all but
--   pageviews), and which row of an event holds: written_at, sorted_by, block, place.
SELECT
    team_id,
    uuid,
    event,
    toUnixTimestamp64Micro(timestamp) AS at,
    `$session_id` AS session,
    distinct_id,
    person_id,
    if(event IN ('$pageview', '$screen'), properties, '') AS properties,
    toUnixTimestamp(_timestamp) AS written_at,
    cityHash64(toDate(timestamp), event, distinct_id) AS sorted_by,
    toUInt64(splitByChar('_', toString(_part))[2]) AS block,
    _part_offset AS place
FROM events
WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
  AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
