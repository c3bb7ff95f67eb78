-- Lists the teams of a build and, before anything else is read, the newest ingestion time of each: an event
-- that arrives later is newer than what is recorded, so the day becomes stale instead of silently wrong.
-- Parameters: date_start, date_end. External table planned_teams (team_id).
{% import "macros.sql" as macros %}
INSERT INTO {{ build_teams }} (team_id, newest_ingested_at, source_events)
SELECT team_id, max(newest_ingested_at), sum(source_events)
FROM
(
    SELECT toUInt64(team_id) AS team_id, toDateTime64(0, 6, 'UTC') AS newest_ingested_at, toUInt64(0) AS source_events
    FROM planned_teams
    UNION ALL
    SELECT toUInt64(team_id) AS team_id, max(ingested_at) AS newest_ingested_at, count() AS source_events
    FROM
    (
        SELECT team_id, ingested_at, timestamp, {{ macros.bucket(bucket_minutes) }} AS period_bucket
        FROM web_analytics_source_events
        WHERE team_id IN (SELECT team_id FROM planned_teams)
    )
    WHERE {{ macros.in_days() }}
    GROUP BY team_id
)
GROUP BY team_id
