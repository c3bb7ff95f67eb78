-- Lists a day's rows of the source in one pass over narrow columns of all events.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
INSERT INTO {{ events }}
(
    period_bucket, team_id, session_id, uuid, event, timestamp, ingested_at, version, tie_key, tie_position,
    pathname, distinct_id, person_id
)
SELECT
    period_bucket, team_id, session_id, uuid, event, timestamp, ingested_at, version, tie_key, tie_position,
    if(event IN {{ macros.pageview_events }}, pathname, ''),
    if(event IN {{ macros.pageview_events }}, distinct_id, ''),
    if(event IN {{ macros.pageview_events }}, person_id, toUUID('00000000-0000-0000-0000-000000000000'))
FROM
(
    {{ macros.rows_of_days(build_teams, bucket_minutes) }}
)
