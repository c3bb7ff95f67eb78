-- Lists the visits of a day in one pass over narrow columns of all its events. Rows of one (team, uuid) in one
-- bucket are one event, and its newest ingested version holds: the few events with several rows are reduced to that
-- version first, all others are taken as they are.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
{% macro events_of_day(condition) -%}
SELECT
            team_id, uuid, event, timestamp, ingested_at, session_id, distinct_id, person_id, path, period_bucket
        FROM
        (
            SELECT
                team_id, uuid, event, timestamp, ingested_at, session_id, distinct_id, person_id,
                if(event IN {{ macros.pageview_events }}, pathname, '') AS path,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
              AND {{ condition }}
        )
        WHERE {{ macros.in_days() }}
{%- endmacro %}
INSERT INTO {{ visits }}
(
    period_bucket, team_id, session_id, first_uuid, first_timestamp, first_ingested_at, distinct_id, person_id,
    pathnames, duration_seconds, is_bounce
)
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
SELECT
    period_bucket,
    team_id,
    session_id,
    pageviews[1].2,
    pageviews[1].1,
    pageviews[1].3,
    pageviews[-1].5,
    pageviews[-1].6,
    tupleElement(pageviews, 4),
    dateDiff('second', first_event, last_event),
    activity_events <= 1 AND dateDiff('second', first_event, last_event) < 10
FROM
(
    SELECT
        period_bucket,
        team_id,
        session_id,
        min(timestamp) AS first_event,
        max(timestamp) AS last_event,
        countIf(event IN {{ macros.activity_events }}) AS activity_events,
        arraySort(groupArrayIf(
            (timestamp, uuid, ingested_at, path, distinct_id, person_id), event IN {{ macros.pageview_events }}))
            AS pageviews
    FROM
    (
        {{ events_of_day("uuid NOT IN (SELECT uuid FROM repeated)") }}
        UNION ALL
        SELECT
            team_id, uuid, newest.3, newest.2, newest.1, newest.4, newest.5, newest.6, newest.7, period_bucket
        FROM
        (
            SELECT
                team_id,
                uuid,
                period_bucket,
                max((ingested_at, timestamp, event, session_id, distinct_id, person_id, path)) AS newest
            FROM
            (
        {{ events_of_day("uuid IN (SELECT uuid FROM repeated)") }}
            )
            GROUP BY team_id, uuid, period_bucket
        )
    )
    WHERE session_id != ''
    GROUP BY period_bucket, team_id, session_id
    HAVING notEmpty(pageviews)
)
