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
        SELECT team_id, distinct_id, holding.1 AS person_id
        FROM
        (
            -- of several rows the one that the engine keeps when it merges them (ReplacingMergeTree(version))
            SELECT team_id, distinct_id, argMax((person_id, is_deleted), (version, {{ macros.place_in_table }})) AS holding
            FROM person_distinct_id_overrides
            WHERE team_id GLOBAL IN (SELECT team_id FROM {{ build_teams }})
            GROUP BY team_id, distinct_id
        )
        WHERE holding.2 = 0
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
FROM (SELECT *, toUInt64(18446744073709551615) AS last_position FROM {{ visits }}) AS visits
ASOF INNER JOIN
(
    SELECT team_id, uuid, session_id, timestamp, version, tie_key, tie_position, {{ carried | join(", ") }}
    FROM web_analytics_source_events
    WHERE team_id GLOBAL IN (SELECT team_id FROM {{ build_teams }})
      AND event IN {{ macros.pageview_events }}
      AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
      AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
      AND uuid GLOBAL IN (SELECT first_uuid FROM {{ visits }})
) AS first_pageviews
    ON visits.team_id = first_pageviews.team_id
    AND visits.first_uuid = first_pageviews.uuid
    AND visits.session_id = first_pageviews.session_id
    AND visits.first_timestamp = first_pageviews.timestamp
    AND visits.first_version = first_pageviews.version
    AND visits.first_tie_key = first_pageviews.tie_key
    -- of rows that are equal in all these the one that the engine keeps: the last
    AND visits.last_position >= first_pageviews.tie_position
{% if has_person_overrides %}
LEFT ANY JOIN merged_people
    ON visits.team_id = merged_people.team_id AND visits.distinct_id = merged_people.distinct_id
{% endif %}
