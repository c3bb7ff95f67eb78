-- What the tables must hold for each (team, day), from PostHog's raw events alone. Written independently of the
-- pipeline on purpose: it shares no view, macro or expression with it.
-- Rows of one (team_id, uuid) in one bucket are one event: the newest ingested. The bucket of an event is that of
-- its session's start if the event lies less than 24 h after it, else its own. A session counts in every bucket
-- in which it has a pageview; its duration and whether it bounced come from all its events in that bucket.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty), bucket_minutes.
-- Columns: team_id, day, pageviews, sessions, bounces, duration (seconds), session_estimate (what uniq() says of
-- the day's sessions; a merged uniq state of the same sessions gives the same number), left_out (pageviews
-- without a valid session, which no table holds).
WITH
    raw AS
    (
        SELECT
            team_id,
            uuid,
            event,
            `$session_id` AS session,
            toUnixTimestamp64Micro(timestamp) AS at,
            -- the id's text: 12 hex digits of milliseconds, then the version
            match(session, '^(?i)[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$') AS is_valid,
            reinterpretAsInt64(reverse(unhex(concat('0000', substring(session, 1, 8), substring(session, 10, 4)))))
                * 1000 AS born,
            is_valid AND at >= born AND at < born + 86400000000 AS is_within_a_day,
            intDiv(if(is_within_a_day, born, at), %(bucket_minutes)s * 60000000) AS bucket,
            if(isNull(inserted_at), toInt64(toUnixTimestamp(_timestamp)) * 1000000,
               toUnixTimestamp64Micro(assumeNotNull(inserted_at))) AS ingested
        FROM events
        WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
          AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 25 HOUR
          AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
    ),
    newest AS
    (
        SELECT
            team_id,
            bucket,
            argMax((event, if(is_valid, session, ''), at), (ingested, at, event, session)) AS version
        FROM raw
        WHERE bucket >= intDiv(toUnixTimestamp(toDateTime(%(date_start)s, 'UTC')), %(bucket_minutes)s * 60)
          AND bucket < intDiv(toUnixTimestamp(toDateTime(%(date_end)s, 'UTC')), %(bucket_minutes)s * 60)
        GROUP BY team_id, bucket, uuid
    ),
    visits AS
    (
        SELECT
            team_id,
            bucket,
            version.2 AS session,
            countIf(version.1 = '$pageview' OR version.1 = '$screen') AS pageviews,
            countIf(version.1 = '$autocapture') AS clicks,
            intDiv(max(version.3), 1000000) - intDiv(min(version.3), 1000000) AS seconds
        FROM newest
        GROUP BY team_id, bucket, session
        HAVING pageviews > 0
    )
SELECT
    toUInt64(team_id) AS team_id,
    toDate(bucket * %(bucket_minutes)s * 60, 'UTC') AS day,
    sumIf(visits.pageviews, session != '') AS pageviews,
    countIf(session != '') AS sessions,
    countIf(session != '' AND visits.pageviews + clicks <= 1 AND seconds < 10) AS bounces,
    sumIf(seconds, session != '') AS duration,
    uniqIf(session, session != '') AS session_estimate,
    sumIf(visits.pageviews, session = '') AS left_out
FROM visits
GROUP BY team_id, day
ORDER BY day, team_id
