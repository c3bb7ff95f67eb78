-- What a table holds of one team, day by day.
-- Parameters: team_id, date_start, date_end (half-open). Columns: day, row_count, pageviews.
SELECT
    toDate(period_bucket, 'UTC') AS day,
    count() AS row_count,
    sumMerge(pageviews_count_state) AS pageviews
FROM {{ table }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC')
  AND period_bucket < toDateTime(%(date_end)s, 'UTC')
  AND team_id = %(team_id)s
GROUP BY day
ORDER BY day DESC
