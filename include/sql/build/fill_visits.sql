-- Lists the visits of a day. Rows of one (team, uuid) in one bucket are one event, and one of them holds, in every
-- column: the few events with several rows are reduced to that one first, all others are taken as they are.
-- Parameters: none.
{% import "macros.sql" as macros %}
INSERT INTO {{ visits }}
(
    period_bucket, team_id, session_id, first_uuid, first_timestamp, first_version, first_tie_key, distinct_id, person_id,
    pathnames, duration_seconds, is_bounce, source_events, source_fingerprint, newest_ingested_at
)
SELECT
    period_bucket,
    team_id,
    session_id,
    pageviews[1].2,
    pageviews[1].1,
    pageviews[1].3,
    pageviews[1].4,
    pageviews[-1].6,
    pageviews[-1].7,
    tupleElement(pageviews, 5),
    dateDiff('second', first_event, last_event),
    has_at_most_one_activity AND dateDiff('second', first_event, last_event) < 10,
    source_events,
    source_fingerprint,
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
            (timestamp, uuid, version, tie_key, pathname, distinct_id, person_id),
            event IN {{ macros.pageview_events }} AND session_id != '')) AS pageviews,
        count() AS source_events,
        sum({{ macros.fingerprint }}) AS source_fingerprint,
        max(ingested_at) AS newest_ingested_at
    FROM
    (
        SELECT
            period_bucket, team_id, session_id, uuid, event, timestamp, ingested_at, version, tie_key, pathname,
            distinct_id, person_id
        FROM {{ events }}
        WHERE uuid NOT IN (SELECT uuid FROM {{ repeated }})
        UNION ALL
        SELECT
            period_bucket, team_id, holding.1, uuid, holding.2, holding.3, holding.9, holding.4, holding.5, holding.6,
            holding.7, holding.8
        FROM
        (
            SELECT
                period_bucket,
                team_id,
                uuid,
                argMax(
                    (session_id, event, timestamp, version, tie_key, pathname, distinct_id, person_id, ingested_at),
                    {{ macros.row_order }}) AS holding
            FROM {{ events }}
            WHERE uuid IN (SELECT uuid FROM {{ repeated }})
            GROUP BY period_bucket, team_id, uuid
        )
    )
    GROUP BY period_bucket, team_id, session_id
)
