-- What the source holds of each day and team, by day of ingestion: by the writer's own bucket rule, so that every
-- gap found from it can be filled. Part of other statements.
-- Parameters: date_start, date_end; since (only_new: rows ingested from then on).
--   only_selected: teams of the external table selected_teams; has_part_name: whether the view tells a row's part.
-- Columns: partition_date, team_id, ingested_on, pageviews, events, newest_ingested_at.
{% import "macros.sql" as macros %}
SELECT
    toDate(period_bucket, 'UTC') AS partition_date,
    toUInt64(team_id) AS team_id,
    toDate(ingested_at, 'UTC') AS ingested_on,
    countIf(event IN {{ macros.pageview_events }} AND session_id != '') AS pageviews,
    count() AS events,
    max(ingested_at) AS newest_ingested_at
FROM
(
    SELECT
        team_id, event, timestamp, ingested_at, session_id,
        {{ macros.bucket(bucket_minutes) }} AS period_bucket
    FROM web_analytics_source_events
    WHERE 1
{% if only_selected %}
      AND team_id IN (SELECT team_id FROM selected_teams)
{% endif %}
{% if only_new %}
      AND ingested_at >= toDateTime64(%(since)s, 6, 'UTC')
{% if has_part_name %}
      -- A row lies in a part that was written after it was ingested. Outdated parts are listed too: a merge that
      -- ends while this statement begins must not hide rows.
      AND part_name IN (SELECT name FROM system.parts WHERE modification_time >= toDateTime(%(since)s, 'UTC'))
{% endif %}
{% endif %}
)
WHERE {{ macros.in_days() }}
GROUP BY partition_date, team_id, ingested_on
