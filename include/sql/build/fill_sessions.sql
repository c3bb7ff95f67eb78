-- Fills the session staging table: each visit that has a pageview, with the dimensions of the first one. The wide
-- columns are read of these pageviews only; visits without pageviews find none to join.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
{% set carried = ["host", "device_type"] + macros.dimensions[2:] %}
INSERT INTO {{ sessions }}
(
    period_bucket, team_id, session_id, person_id, host, device_type,
    {{ macros.dimensions | join(", ") }},
    pathnames, duration_seconds, is_bounce
)
{% if has_person_overrides %}
WITH
    merged_people AS
    (
        SELECT team_id, distinct_id, argMax(person_id, version) AS person_id
        FROM person_distinct_id_overrides
        WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
        GROUP BY team_id, distinct_id
        HAVING argMax(is_deleted, version) = 0
    )
{% endif %}
SELECT
    visits.period_bucket,
    visits.team_id,
    visits.session_id,
{% if has_person_overrides %}
    if(merged_people.distinct_id != '', merged_people.person_id, visits.person_id) AS person_id,
{% else %}
    visits.person_id,
{% endif %}
    first_pageviews.host,
    first_pageviews.device_type,
    visits.pathnames[1] AS entry_pathname,
    visits.pathnames[-1] AS end_pathname,
{% for column in macros.dimensions[2:] %}
    first_pageviews.{{ column }},
{% endfor %}
    visits.pathnames,
    visits.duration_seconds,
    visits.is_bounce
FROM {{ visits }} AS visits
ANY INNER JOIN
(
    SELECT team_id, uuid, timestamp, ingested_at, {{ carried | join(", ") }}
    FROM web_analytics_source_events
    WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
      AND event IN {{ macros.pageview_events }}
      AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
      AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
      AND uuid IN (SELECT first_uuid FROM {{ visits }})
) AS first_pageviews
    ON visits.team_id = first_pageviews.team_id
    AND visits.first_uuid = first_pageviews.uuid
    AND visits.first_timestamp = first_pageviews.timestamp
    AND visits.first_ingested_at = first_pageviews.ingested_at
{% if has_person_overrides %}
LEFT ANY JOIN merged_people
    ON visits.team_id = merged_people.team_id AND visits.distinct_id = merged_people.distinct_id
{% endif %}
