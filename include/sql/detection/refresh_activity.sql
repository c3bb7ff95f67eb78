-- Records the activity of all rows ingested since a day began, whatever their own day.
-- Parameters: date_start, date_end (only plausible days), since (the beginning of a UTC day), scanned_at.
INSERT INTO web_analytics_activity
    (partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, scanned_at)
SELECT partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, toDateTime64(%(scanned_at)s, 6, 'UTC')
FROM
(
{% with only_new = true, only_selected = false %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
)
-- Years of events may be ingested on one day.
SETTINGS max_partitions_per_insert_block = 0, max_bytes_before_external_group_by = 200000000
