-- Events that arrive days late: one in twenty of a day's events once more, as events of their own, half a second later.
-- Parameters: day, now (when they arrive).
INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`,
                    _timestamp, inserted_at)
SELECT
    reinterpretAsUUID(sipHash128(uuid, 'late')),
    event,
    properties,
    timestamp + INTERVAL 500 MILLISECOND,
    team_id,
    distinct_id,
    person_id,
    `$session_id`,
    toDateTime(%(now)s, 'UTC'),
    toDateTime64(%(now)s, 6, 'UTC')
FROM events
WHERE timestamp >= toDateTime64(%(day)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(day)s, 6, 'UTC') + INTERVAL 1 DAY
  AND sipHash64(uuid) %% 20 = 0
