-- Records the activity of a range of days from all their rows; what is no longer in the source becomes zero.
-- Parameters: date_start, date_end, scanned_at.
INSERT INTO web_analytics_activity
    (partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, scanned_at)
SELECT
    partition_date, team_id, ingested_on,
    sum(pageviews), sum(events), sum(fingerprint), max(newest_ingested_at), toDateTime64(%(scanned_at)s, 6, 'UTC')
FROM
(
{% with only_new = false, only_selected = false %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
    UNION ALL
    SELECT DISTINCT partition_date, team_id, ingested_on, toUInt64(0), toUInt64(0), toUInt64(0), toDateTime64(0, 6, 'UTC')
    FROM web_analytics_activity
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
)
GROUP BY partition_date, team_id, ingested_on
SETTINGS max_bytes_before_external_group_by = 200000000
