-- Ingests some of the rows of events a second time. Three in a thousand come unchanged. One in a thousand comes
-- changed and an hour later, so that the newest version counts: with another pathname, as another kind of event
-- (a pageview that is none any more, or the reverse), or at another instant.
-- Parameters: seed, date_end (nothing arrives after its beginning).
INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`,
                    _timestamp, inserted_at)
WITH
    sipHash64(%(seed)s, uuid, 'again') %% 4000 AS again,
    again >= 12 AS is_changed,
    coalesce(inserted_at, toDateTime64(_timestamp, 6, 'UTC')) AS arrived
SELECT
    uuid,
    multiIf(again = 12, 'search', again = 13 AND startsWith(properties, '{"$lib":"web"'), '$pageview', event),
    if(again = 14, replaceOne(properties, '"$pathname":"', '"$pathname":"/moved'), properties),
    if(again = 15, timestamp + INTERVAL 7 SECOND, timestamp),
    team_id, distinct_id, person_id, `$session_id`,
    if(is_changed, _timestamp + INTERVAL 1 HOUR, _timestamp),
    if(is_changed, arrived + INTERVAL 1 HOUR, inserted_at)
FROM events
WHERE again < 16
  AND (NOT is_changed OR timestamp < toDateTime(toDate(%(date_end)s), 'UTC') - INTERVAL 1 DAY)
  AND (NOT is_changed OR arrived < toDateTime(toDate(%(date_end)s), 'UTC') - INTERVAL 2 HOUR)
