-- Counts the source's pageviews anew, by another expression than the stage's, and compares them per team.
-- A difference means that the source has moved on since the stage was filled.
-- Parameters: date_start, date_end. Columns: team_id, expected (source), found (stage); no row where equal.
{% import "macros.sql" as macros %}
{% macro rows_of_day(condition) -%}
SELECT team_id, uuid, event, timestamp, ingested_at, session_id, period_bucket
        FROM
        (
            SELECT
                team_id, uuid, event, timestamp, ingested_at, session_id,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
              AND {{ condition }}
        )
        WHERE {{ macros.in_days() }}
{%- endmacro %}
WITH
    repeated AS
    (
        SELECT uuid
        FROM web_analytics_source_events
        WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
          AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
          AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
        GROUP BY uuid
        HAVING count() > 1
    )
SELECT team_id, sumIf(pageviews, side = 'source') AS expected, sumIf(pageviews, side = 'stage') AS found
FROM
(
    SELECT 'source' AS side, toUInt64(team_id) AS team_id, countIf(session_id != '') AS pageviews
    FROM
    (
        {{ rows_of_day("event IN " ~ macros.pageview_events ~ " AND uuid NOT IN (SELECT uuid FROM repeated)") }}
    )
    GROUP BY team_id
    UNION ALL
    SELECT 'source' AS side, toUInt64(team_id) AS team_id, count() AS pageviews
    FROM
    (
        SELECT team_id, argMax((event, session_id), (ingested_at, timestamp, event, session_id)) AS newest
        FROM
        (
        {{ rows_of_day("uuid IN (SELECT uuid FROM repeated)") }}
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
