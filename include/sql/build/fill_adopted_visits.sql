-- Records what the source holds of a day, one row per team: adopted rows are as new as what they are compared with.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
INSERT INTO {{ visits }} (team_id, source_events, newest_ingested_at)
SELECT team_id, count(), max(ingested_at)
FROM
(
    SELECT team_id, ingested_at, timestamp, {{ macros.bucket(bucket_minutes) }} AS period_bucket
    FROM web_analytics_source_events
    WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
)
WHERE {{ macros.in_days() }}
GROUP BY team_id
