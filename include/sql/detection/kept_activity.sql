-- The kept activity of each day and team, in one or several rows to be added up; together with what was ingested
-- since the watermark's day, where a statement must not write. Part of other statements.
-- Parameters: date_start, date_end; since (with_new). External table selected_teams (team_id).
-- Columns: partition_date, team_id, pageviews, events, fingerprint, newest_ingested_at.
{% if with_new %}
SELECT
    partition_date,
    team_id,
    argMax(pageviews, is_new) AS pageviews,
    argMax(events, is_new) AS events,
    argMax(fingerprint, is_new) AS fingerprint,
    argMax(newest_ingested_at, is_new) AS newest_ingested_at
FROM
(
    SELECT partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, 0 AS is_new
    FROM web_analytics_activity FINAL
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
    UNION ALL
    SELECT partition_date, team_id, ingested_on, pageviews, events, fingerprint, newest_ingested_at, 1
    FROM
    (
{% with only_new = true, only_selected = true %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
    )
)
GROUP BY partition_date, team_id, ingested_on
{% else %}
SELECT partition_date, team_id, pageviews, events, fingerprint, newest_ingested_at
FROM web_analytics_activity FINAL
WHERE partition_date >= %(date_start)s{% if not for_readers | default(false) %} AND partition_date < %(date_end)s
  AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
{%- endif %}
{% endif %}
