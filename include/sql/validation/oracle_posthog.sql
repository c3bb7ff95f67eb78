-- What the tables must hold for each (team, day), from PostHog's raw events alone. Written independently of the
-- pipeline on purpose: it shares no view, macro or expression with it.
-- Rows of one (team_id, uuid) in one bucket are one event, and one of them holds: that of the newest _timestamp; of
-- several, those of the largest hash of what the engine sorts them by; of these the one written last. The bucket of an
-- event is that of its session's start if the event lies less than 24 h after it, else its own. A session is a UUID, in
-- whichever letter case. It counts in every bucket in which it has a pageview; its duration and whether it bounced come
-- from all its events in that bucket.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty), bucket_minutes.
--   with_people: count people too; people_are_merged: whether person_distinct_id_overrides exists.
-- Columns: team_id, day, pageviews, sessions, bounces, duration (seconds), session_estimate (what uniq() says of
-- the day's sessions; a merged uniq state of the same sessions gives the same number), left_out (pageviews
-- without a valid session, which no table holds), buckets (how many hold rows), placement (the sum over pageviews
-- of their bucket's start in seconds of the day), newest_ingested_at (of the day's events), and with_people:
-- persons (exact; a session's person is that of its last pageview) and persons_unmerged (as if nobody had been merged).
{% set with_people = with_people | default(false) %}
WITH
    raw AS
    (
        SELECT
            team_id,
            uuid,
            event,
            lower(`$session_id`) AS session,
            toUnixTimestamp64Micro(timestamp) AS at,
            -- the id's text: 12 hex digits of milliseconds, then the version
            match(session, '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$') AS is_valid,
            reinterpretAsInt64(reverse(unhex(concat('0000', substring(session, 1, 8), substring(session, 10, 4)))))
                * 1000 AS born,
            is_valid AND at >= born AND at < born + 86400000000 AS is_within_a_day,
            intDiv(if(is_within_a_day, born, at), %(bucket_minutes)s * 60000000) AS bucket,
            if(isNull(inserted_at), toInt64(toUnixTimestamp(_timestamp)) * 1000000,
               toUnixTimestamp64Micro(assumeNotNull(inserted_at))) AS ingested,
            (toUnixTimestamp(_timestamp), cityHash64(toDate(timestamp), event, distinct_id),
             toUInt64(splitByChar('_', toString(_part))[2]), _part_offset) AS precedence
{% if with_people %}
            , distinct_id
            , person_id
{% endif %}
        FROM events
        WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
          AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 25 HOUR
          AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
    ),
    holding AS
    (
        SELECT
            team_id,
            bucket,
            uuid,
            max(ingested) AS arrived,
            argMax((event, if(is_valid, session, ''), at), precedence) AS version
{% if with_people %}
            , argMax((distinct_id, person_id), precedence) AS who
{% endif %}
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
            intDiv(max(version.3), 1000000) - intDiv(min(version.3), 1000000) AS seconds,
            max(arrived) AS arrived
{% if with_people %}
            , argMaxIf(who, (version.3, uuid), version.1 = '$pageview' OR version.1 = '$screen') AS who
{% endif %}
        FROM holding
        GROUP BY team_id, bucket, session
    )
{% if with_people and people_are_merged %}
    ,
    merges AS
    (
        SELECT
            team_id,
            distinct_id,
            argMax((person_id, is_deleted = 0), (version, toUInt64(splitByChar('_', toString(_part))[2]), _part_offset))
                AS merge
        FROM person_distinct_id_overrides
        GROUP BY team_id, distinct_id
    )
{% endif %}
SELECT
    toUInt64(team_id) AS team_id,
    toDate(bucket * %(bucket_minutes)s * 60, 'UTC') AS day,
    sumIf(visits.pageviews, session != '') AS pageviews,
    countIf(is_counted) AS sessions,
    countIf(is_counted AND visits.pageviews + clicks <= 1 AND seconds < 10) AS bounces,
    sumIf(seconds, is_counted) AS duration,
    uniqIf(session, is_counted) AS session_estimate,
    sumIf(visits.pageviews, session = '') AS left_out,
    uniqExactIf(bucket, is_counted) AS buckets,
    sumIf(visits.pageviews * (bucket * %(bucket_minutes)s * 60 %% 86400), is_counted) AS placement,
    fromUnixTimestamp64Micro(max(arrived), 'UTC') AS newest_ingested_at
{% if with_people %}
    ,
    uniqExactIf(
{% if people_are_merged %}
        if(merges.merge.2, merges.merge.1, visits.who.2),
{% else %}
        visits.who.2,
{% endif %}
        is_counted) AS persons,
    uniqExactIf(visits.who.2, is_counted) AS persons_unmerged
{% endif %}
FROM
(
    SELECT *, session != '' AND pageviews > 0 AS is_counted
    FROM visits
) AS visits
{% if with_people and people_are_merged %}
LEFT ANY JOIN merges ON merges.team_id = visits.team_id AND merges.distinct_id = visits.who.1
{% endif %}
GROUP BY team_id, day
HAVING pageviews > 0 OR left_out > 0
ORDER BY day, team_id
