-- What web_pre_aggregated_bounces holds for each (team, day).
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty).
-- Columns: team_id, day and the measures of validation/oracle_posthog that this table has.
SELECT
    team_id,
    toDate(period_bucket, 'UTC') AS day,
    sumMerge(pageviews_count_state) AS pageviews,
    sumMerge(total_session_count_state) AS sessions,
    sumMerge(bounces_count_state) AS bounces,
    sumMerge(total_session_duration_state) AS duration,
    uniqMerge(sessions_uniq_state) AS session_estimate
FROM web_pre_aggregated_bounces
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC')
  AND period_bucket < toDateTime(%(date_end)s, 'UTC')
  AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
GROUP BY team_id, day
ORDER BY day, team_id
