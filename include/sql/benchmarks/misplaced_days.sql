-- The days of teams on which the statements of the earlier systems can put a pageview into another day than ours: since
-- a session has events on several days, or an id of another day; or since events have no valid session, which they take
-- for one session of the team that began with the first of these events, and which ours leave out.
-- Parameters: date_start, date_end (half-open). Columns: team_id, day, over_midnight, without_session.
SELECT
    team_id,
    arrayJoin(touched) AS day,
    max(session_id != '') AS over_midnight,
    max(session_id = '') AS without_session
FROM
(
    SELECT
        team_id,
        session_id,
        groupUniqArray(toDate(timestamp, 'UTC')) AS days,
        if(session_id = '', arrayConcat(days, arrayMap(day -> day - 1, days)),
           arrayDistinct(arrayPushBack(days, toDate(any(session_started_at), 'UTC')))) AS touched
    FROM web_analytics_source_events
    WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC') - INTERVAL 1 DAY
      AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
    GROUP BY team_id, session_id
    HAVING length(touched) > 1
)
GROUP BY team_id, day
