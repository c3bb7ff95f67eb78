-- Lists the visits of a day. Rows of one (team, uuid) in one bucket are one event, and its newest ingested version
-- holds: the few events with several rows are reduced to that version first, all others are taken as they are.
-- Parameters: none.
{% import "macros.sql" as macros %}
INSERT INTO {{ visits }}
(
    period_bucket, team_id, session_id, first_uuid, first_timestamp, first_ingested_at, distinct_id, person_id,
    pathnames, duration_seconds, is_bounce, source_events, newest_ingested_at
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
    has_at_most_one_activity AND dateDiff('second', first_event, last_event) < 10,
    source_events,
    newest_ingested_at
FROM
(
    SELECT
        period_bucket,
        team_id,
        session_id,
        min(timestamp) AS first_event,
        max(timestamp) AS last_event,
        -- By its id, so that an event that the list lacks is not taken for two.
        minIf(uuid, event IN {{ macros.activity_events }}) = maxIf(uuid, event IN {{ macros.activity_events }})
            AS has_at_most_one_activity,
        arraySort(groupArrayIf(
            (timestamp, uuid, ingested_at, pathname, distinct_id, person_id),
            event IN {{ macros.pageview_events }} AND session_id != '')) AS pageviews,
        sum(event_rows) AS source_events,
        max(ingested_at) AS newest_ingested_at
    FROM
    (
        SELECT *, toUInt64(1) AS event_rows
        FROM {{ events }}
        WHERE uuid NOT IN (SELECT uuid FROM {{ repeated }})
        UNION ALL
        SELECT
            period_bucket, team_id, newest.4, uuid, newest.3, newest.2, newest.1, newest.5, newest.6, newest.7, event_rows
        FROM
        (
            SELECT
                period_bucket,
                team_id,
                uuid,
                max((ingested_at, timestamp, event, session_id, pathname, distinct_id, person_id)) AS newest,
                count() AS event_rows
            FROM {{ events }}
            WHERE uuid IN (SELECT uuid FROM {{ repeated }})
            GROUP BY period_bucket, team_id, uuid
        )
    )
    GROUP BY period_bucket, team_id, session_id
)
