-- The page requests of the log by the day that they are stored under, counted from the raw events.
-- Parameters: team_id. Columns: day, pageviews.
SELECT
    -- an id begins with the milliseconds at which its session began; a session longer than a day goes on in its own time
    toDate(if(timestamp < born + INTERVAL 24 HOUR, born, timestamp), 'UTC') AS day,
    count() AS pageviews
FROM
(
    SELECT timestamp, UUIDv7ToDateTime(toUUID(`$session_id`), 'UTC') AS born
    FROM events
    WHERE team_id = %(team_id)s
)
GROUP BY day
ORDER BY day
