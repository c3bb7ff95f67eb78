-- Fills the session staging table in one pass over the source: pageviews are read with all their columns,
-- other events only with those that a session's duration and bounce need.
-- The first pageview of a session in a bucket gives its dimensions and entry path, the last one its end path.
-- Parameters: date_start, date_end.
{% import "macros.sql" as macros %}
{% set carried = ["host", "device_type"] + macros.dimensions[2:] %}
INSERT INTO {{ sessions }}
(
    period_bucket, team_id, session_id, person_id, host, device_type,
    {{ macros.dimensions | join(", ") }},
    pathnames, duration_seconds, is_bounce
)
WITH
    pageviews AS
    (
        SELECT
            period_bucket,
            team_id,
            session_id,
            argMax((distinct_id, person_id), (timestamp, uuid)) AS person,
            argMin(({{ carried | join(", ") }}), (timestamp, uuid)) AS first_pageview,
            argMin(pathname, (timestamp, uuid)) AS entry_pathname,
            argMax(pathname, (timestamp, uuid)) AS end_pathname,
            arraySort(groupUniqArray((uuid, pathname))) AS versions
        FROM
        (
            SELECT *, {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
              AND event IN {{ macros.pageview_events }}
        )
        WHERE {{ macros.in_days() }}
          AND session_id != ''
          AND (team_id, uuid, ingested_at, timestamp, event, session_id) NOT IN (SELECT * FROM {{ superseded_events }})
        GROUP BY period_bucket, team_id, session_id
    ),
    spans AS
    (
        SELECT
            period_bucket,
            team_id,
            session_id,
            dateDiff('second', min(timestamp), max(timestamp)) AS duration_seconds,
            uniqUpToIf(1)(uuid, event IN {{ macros.activity_events }}) AS activity_events
        FROM
        (
            SELECT
                team_id, uuid, event, timestamp, ingested_at, session_id,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
        )
        WHERE {{ macros.in_days() }}
          AND session_id != ''
          AND (team_id, uuid, ingested_at, timestamp, event, session_id) NOT IN (SELECT * FROM {{ superseded_events }})
        GROUP BY period_bucket, team_id, session_id
    )
{% if has_person_overrides %}
    ,
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
    pageviews.period_bucket,
    pageviews.team_id,
    pageviews.session_id,
{% if has_person_overrides %}
    if(merged_people.distinct_id != '', merged_people.person_id, pageviews.person.2) AS person_id,
{% else %}
    pageviews.person.2 AS person_id,
{% endif %}
    pageviews.first_pageview.1 AS host,
    pageviews.first_pageview.2 AS device_type,
    pageviews.entry_pathname,
    pageviews.end_pathname,
{% for column in macros.dimensions[2:] %}
    pageviews.first_pageview.{{ loop.index + 2 }} AS {{ column }},
{% endfor %}
    arrayMap(
        version -> version.2,
        arrayFilter(
            (version, position) -> position = 1 OR version.1 != versions[position - 1].1,
            pageviews.versions AS versions,
            arrayEnumerate(versions))) AS pathnames,
    spans.duration_seconds,
    spans.activity_events <= 1 AND spans.duration_seconds < 10 AS is_bounce
FROM pageviews
INNER JOIN spans
    ON pageviews.period_bucket = spans.period_bucket
    AND pageviews.team_id = spans.team_id
    AND pageviews.session_id = spans.session_id
{% if has_person_overrides %}
LEFT ANY JOIN merged_people
    ON pageviews.team_id = merged_people.team_id AND pageviews.person.1 = merged_people.distinct_id
{% endif %}
