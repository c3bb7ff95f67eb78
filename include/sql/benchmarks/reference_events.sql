{#
  joined: the events of a range with the aggregates of their sessions and the person each belongs to now.
#}
{% set carried = ["host", "device_type"] + macros.dimensions[2:] %}
WITH
    visits AS
    (
        SELECT
            team_id,
            session_id,
            min(timestamp) AS started_at,
            dateDiff('second', min(timestamp), max(timestamp)) AS seconds,
            uniqUpToIf(1)(uuid, event IN {{ macros.activity_events }}) <= 1 AND seconds < 10 AS is_bounce,
            argMinIf(pathname, timestamp, pathname != '') AS entry_pathname,
            argMaxIf(pathname, timestamp, pathname != '') AS end_pathname,
            {% for column in carried %}argMin({{ column }}, timestamp) AS {{ column }}{{ ", " if not loop.last }}{% endfor %}

        FROM web_analytics_source_events
        WHERE team_id IN (SELECT team_id FROM selected_teams)
          AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC') - INTERVAL 1 DAY
          AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
        GROUP BY team_id, session_id
    ),
    people AS
    (
        SELECT team_id, distinct_id, argMax(person_id, version) AS person_id
        FROM person_distinct_id_overrides
        GROUP BY team_id, distinct_id
    ),
    joined AS
    (
        SELECT
            events.event AS event,
            events.pathname AS pathname,
            toUInt64(events.team_id) AS team_id,
            events.session_id AS session_id,
            toStartOfHour(visits.started_at) AS period_bucket,
            if(people.distinct_id != '', people.person_id, events.person_id) AS person,
            visits.seconds AS seconds,
            visits.is_bounce AS is_bounce,
            {% for column in carried + ["entry_pathname", "end_pathname"] %}visits.{{ column }} AS {{ column }}{{ ", " if not loop.last }}{% endfor %}

        FROM
        (
            SELECT team_id, event, pathname, session_id, distinct_id, person_id
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM selected_teams)
              AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
              AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC')
        ) AS events
        LEFT JOIN visits ON visits.team_id = events.team_id AND visits.session_id = events.session_id
        LEFT JOIN people ON people.team_id = events.team_id AND people.distinct_id = events.distinct_id
    )
