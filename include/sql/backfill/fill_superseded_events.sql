-- Lists the replaced versions of events: rows of one (team, uuid) in one bucket are one event, and its newest
-- ingested version holds. Identical rows are not listed; the session stage counts them once.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
INSERT INTO {{ superseded_events }} (team_id, uuid, ingested_at, timestamp, event, session_id)
SELECT team_id, uuid, version.1, version.2, version.3, version.4
FROM
(
    SELECT
        team_id,
        uuid,
        arraySort(groupUniqArray((ingested_at, timestamp, event, session_id))) AS versions
    FROM
    (
        SELECT
            team_id, uuid, ingested_at, timestamp, event, session_id,
            {{ macros.bucket(bucket_minutes) }} AS period_bucket
        FROM web_analytics_source_events
        WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
          AND uuid IN
          (
              SELECT uuid
              FROM web_analytics_source_events
              WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
                AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
                AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
              GROUP BY team_id, uuid
              HAVING count() > 1
          )
    )
    WHERE {{ macros.in_days() }}
    GROUP BY team_id, period_bucket, uuid
    HAVING length(versions) > 1
)
ARRAY JOIN arrayPopBack(versions) AS version
