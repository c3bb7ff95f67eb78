-- Compares what was staged of a day with the source, which is read anew, team by team.
-- event rows: the rows of the source against the listed events. A difference means that the source has moved on since
-- they were listed, or that the list was cut short. Of an event on the list of repeated ones its rows count once,
-- since the engine may merge them at any time.
-- pageviews: the listed events against the sessions. What is not on the list of repeated events is counted by id: an
-- event that the list lacks is not counted twice here too.
-- Parameters: date_start, date_end. Columns: team_id, measure, expected, found; no row where all is equal.
{% import "macros.sql" as macros %}
{% set event_rows = "countIf(NOT is_repeated) + uniqExactIf((period_bucket, uuid), is_repeated)" %}
{% set is_repeated = "uuid IN (SELECT uuid FROM " ~ repeated ~ ") AS is_repeated" %}
SELECT
    toUInt64(team_id) AS team_id,
    measure,
    sumIf(counted, side = 'expected') AS expected,
    sumIf(counted, side = 'found') AS found
FROM
(
    SELECT team_id, 'event rows' AS measure, 'expected' AS side, {{ event_rows }} AS counted
    FROM
    (
        SELECT team_id, period_bucket, uuid, {{ is_repeated }}
        FROM
        (
    {{ macros.rows_of_days(build_teams, bucket_minutes) }}
        )
    )
    GROUP BY team_id
    UNION ALL
    SELECT team_id, count.1, count.2, count.3
    FROM
    (
        SELECT
            team_id,
            [
                ('event rows', 'found', {{ event_rows }}),
                ('pageviews', 'expected',
                 uniqExactIf(uuid, NOT is_repeated AND event IN {{ macros.pageview_events }} AND session_id != ''))
            ] AS counts
        FROM
        (
            SELECT team_id, period_bucket, uuid, event, session_id, {{ is_repeated }}
            FROM {{ events }}
        )
        GROUP BY team_id
    )
    ARRAY JOIN counts AS count
    UNION ALL
    SELECT team_id, 'pageviews', 'expected', countIf(holding.1 IN {{ macros.pageview_events }} AND holding.2 != '')
    FROM
    (
        SELECT
            team_id,
            argMax((event, session_id), {{ macros.row_order }}) AS holding
        FROM {{ events }}
        WHERE uuid IN (SELECT uuid FROM {{ repeated }})
        GROUP BY team_id, period_bucket, uuid
    )
    GROUP BY team_id
    UNION ALL
    SELECT toInt64(team_id), 'pageviews', 'found', sum(length(pathnames))
    FROM {{ sessions }}
    GROUP BY team_id
)
GROUP BY team_id, measure
HAVING expected != found
ORDER BY team_id, measure
