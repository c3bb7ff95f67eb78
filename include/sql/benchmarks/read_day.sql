-- The first floor of a build: reading the day's columns that a build needs, and nothing else.
-- Parameters: date_start, date_end. External table selected_teams (team_id). Columns: checksum.
{% import "macros.sql" as macros %}
SELECT
    sum(length(session_id) + length(distinct_id) + length(pathname) + length(host) + length(device_type)
        {% for column in macros.dimensions[2:] if not column.startswith("has_") and not column.startswith("viewport") %}+ length({{ column }}){% endfor %}
        + viewport_width + viewport_height + has_gclid + has_gad_source_paid_search + has_fbclid
        + cityHash64(uuid, person_id) %% 2 + toUnixTimestamp(ingested_at) %% 2) AS checksum
FROM web_analytics_source_events
WHERE team_id IN (SELECT team_id FROM selected_teams)
  AND event IN {{ macros.pageview_events }}
  AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
  AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
