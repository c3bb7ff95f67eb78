-- Records what a build has read of its day as the activity of its teams, of all days of ingestion: a build sees rows
-- beside each other that were ingested on different days, a refresh does not. Nothing is recorded of a team of which what is
-- kept comes to the same events (all their days of ingestion are in the fingerprint): so it costs next to nothing as a rule.
-- Parameters: date_start, date_end (the day), scanned_at (before it was read).
{% import "macros.sql" as macros %}
{% set teams_that_differ %}
SELECT team_id
    FROM
    (
        SELECT team_id, toInt64(source_events) AS events, toInt64(source_fingerprint) AS fingerprint
        FROM {{ visits }}
        UNION ALL
        SELECT toInt64(team_id), -toInt64(events), -toInt64(fingerprint)
        FROM web_analytics_activity FINAL
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
          AND team_id IN (SELECT team_id FROM {{ build_teams }})
    )
    GROUP BY team_id
    -- both wrap around, as the sum of fingerprints does
    HAVING sum(events) != 0 OR sum(fingerprint) != 0
{% endset %}
INSERT INTO web_analytics_activity
    (partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, scanned_at)
SELECT
    partition_date, team_id, ingested_on,
    sum(pageviews), sum(events), sum(fingerprint), max(newest_ingested_at), toDateTime64(%(scanned_at)s, 6, 'UTC')
FROM
(
{{ macros.activity_of(
    "SELECT * FROM " ~ events ~ " WHERE team_id IN (" ~ teams_that_differ ~ ")",
    "uuid IN (SELECT uuid FROM " ~ repeated ~ ")") }}
    UNION ALL
    SELECT DISTINCT partition_date, team_id, ingested_on, toUInt64(0), toUInt64(0), toUInt64(0), toDateTime64(0, 6, 'UTC')
    FROM web_analytics_activity
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND toInt64(team_id) IN ({{ teams_that_differ }})
)
GROUP BY partition_date, team_id, ingested_on
