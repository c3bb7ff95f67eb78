-- Records what a build has read of its day as the activity of some of its teams, of all days of ingestion: a build sees rows
-- beside each other that were ingested on different days, a refresh does not.
-- Parameters: date_start, date_end (the day), scanned_at (before it was read). External table selected_teams (team_id).
{% import "macros.sql" as macros %}
INSERT INTO web_analytics_activity
    (partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, scanned_at)
SELECT
    partition_date, team_id, ingested_on,
    sum(pageviews), sum(events), sum(fingerprint), max(newest_ingested_at), toDateTime64(%(scanned_at)s, 6, 'UTC')
FROM
(
{{ macros.activity_of(
    "SELECT * FROM " ~ events ~ " WHERE team_id IN (SELECT team_id FROM selected_teams)",
    "uuid IN (SELECT uuid FROM " ~ repeated ~ ")") }}
    UNION ALL
    SELECT DISTINCT partition_date, team_id, ingested_on, toUInt64(0), toUInt64(0), toUInt64(0), toDateTime64(0, 6, 'UTC')
    FROM web_analytics_activity
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND toInt64(team_id) IN (SELECT team_id FROM selected_teams)
)
GROUP BY partition_date, team_id, ingested_on
