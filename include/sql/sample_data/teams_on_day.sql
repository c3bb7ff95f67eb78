-- Teams that web_pre_aggregated_stats holds on one day, by number of rows.
-- Parameters: day. Columns: team_id.
SELECT team_id
FROM web_pre_aggregated_stats
WHERE toDate(period_bucket, 'UTC') = %(day)s
GROUP BY team_id
ORDER BY count() DESC, team_id
