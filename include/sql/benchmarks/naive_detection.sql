-- The shape of the earlier detector, made to find something: every team on every day, joined with what the events and
-- each table hold. For comparison only.
-- Parameters: date_start, date_end. External table selected_teams (team_id). Columns: partition_date, teams.
WITH
    every_pair AS
    (
        SELECT toUInt64(team_id) AS team_id, arrayJoin(arrayMap(each -> toDate(%(date_start)s) + each,
            range(toUInt64(dateDiff('day', toDate(%(date_start)s), toDate(%(date_end)s)))))) AS day
        FROM selected_teams
    ),
    sent AS
    (
        SELECT DISTINCT toUInt64(team_id) AS team_id, toDate(timestamp, 'UTC') AS day
        FROM web_analytics_source_events
        WHERE timestamp >= toDateTime64(%(date_start)s, 6, 'UTC') AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC')
          AND event IN ('$pageview', '$screen')
    ),
    in_stats AS
    (
        SELECT DISTINCT team_id, toDate(period_bucket, 'UTC') AS day
        FROM web_pre_aggregated_stats
        WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
    ),
    in_bounces AS
    (
        SELECT DISTINCT team_id, toDate(period_bucket, 'UTC') AS day
        FROM web_pre_aggregated_bounces
        WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
    )
SELECT day AS partition_date, count() AS teams
FROM every_pair
INNER JOIN sent USING (team_id, day)
LEFT JOIN in_stats USING (team_id, day)
LEFT JOIN in_bounces USING (team_id, day)
WHERE in_stats.team_id IS NULL OR in_bounces.team_id IS NULL
GROUP BY day
ORDER BY day
SETTINGS join_use_nulls = 1
