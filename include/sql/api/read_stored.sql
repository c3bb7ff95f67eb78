-- What a target table holds of one team on one day.
-- Parameters: team_id, date_start, date_end (the day). Columns: row_count, pageviews, sessions (as uniq counts).
SELECT
    count() AS row_count,
    sumMerge(pageviews_count_state) AS pageviews,
    uniqMerge(sessions_uniq_state) AS sessions
FROM {{ table }}
WHERE team_id = %(team_id)s
  AND period_bucket >= toDateTime(%(date_start)s, 'UTC')
  AND period_bucket < toDateTime(%(date_end)s, 'UTC')
