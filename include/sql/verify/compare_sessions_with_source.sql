-- Counts the source's pageviews anew, without sessions or joins, and compares them with the stage's per team.
-- A difference means that the source has moved on since the stage was filled, or that the stage was cut short. What is
-- not on the list of repeated events is counted by id: an event that the list lacks is not counted twice here too.
-- Parameters: date_start, date_end. Columns: team_id, expected (source), found (stage); no row where equal.
{% import "macros.sql" as macros %}
SELECT team_id, sumIf(pageviews, side = 'source') AS expected, sumIf(pageviews, side = 'stage') AS found
FROM
(
    SELECT 'source' AS side, toUInt64(team_id) AS team_id, uniqExactIf(uuid, session_id != '') AS pageviews
    FROM
    (
        {{ macros.rows_of_days(build_teams, bucket_minutes, "event IN " ~ macros.pageview_events ~ " AND uuid NOT IN (SELECT uuid FROM " ~ repeated ~ ")") }}
    )
    GROUP BY team_id
    UNION ALL
    SELECT 'source' AS side, toUInt64(team_id) AS team_id, count() AS pageviews
    FROM
    (
        SELECT team_id, argMax((event, session_id), (ingested_at, timestamp, event, session_id)) AS newest
        FROM
        (
        {{ macros.rows_of_days(build_teams, bucket_minutes, "uuid IN (SELECT uuid FROM " ~ repeated ~ ")") }}
        )
        GROUP BY team_id, period_bucket, uuid
        HAVING newest.1 IN {{ macros.pageview_events }} AND newest.2 != ''
    )
    GROUP BY team_id
    UNION ALL
    SELECT 'stage', team_id, sum(length(pathnames))
    FROM {{ sessions }}
    GROUP BY team_id
)
GROUP BY team_id
HAVING expected != found
ORDER BY team_id
LIMIT 100
