-- Counts the source's pageviews anew, by another expression than the stage's, and compares them per team.
-- A difference means that the source has moved on since the stage was filled.
-- Parameters: date_start, date_end. Columns: team_id, expected (source), found (stage); no row where equal.
{% import "macros.sql" as macros %}
SELECT team_id, sumIf(pageviews, side = 'source') AS expected, sumIf(pageviews, side = 'stage') AS found
FROM
(
    SELECT 'source' AS side, toUInt64(team_id) AS team_id, count() AS pageviews
    FROM
    (
        SELECT team_id, argMax((event, session_id), (ingested_at, timestamp, event, session_id)) AS newest
        FROM
        (
            SELECT
                team_id, uuid, event, timestamp, ingested_at, session_id,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
        )
        WHERE {{ macros.in_days() }}
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
