-- What web_pre_aggregated_stats holds of each path.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty). Columns: team_id, day, pathname, pageviews.
SELECT
    team_id,
    toDate(period_bucket, 'UTC') AS day,
    pathname,
    sumMerge(pageviews_count_state) AS pageviews
FROM web_pre_aggregated_stats
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC')
  AND period_bucket < toDateTime(%(date_end)s, 'UTC')
  AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
GROUP BY team_id, day, pathname
