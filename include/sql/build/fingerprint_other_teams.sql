-- What a table holds of all teams but one on a range of days: totals, and a checksum over the merged values of
-- each team and bucket, which merges in the background do not change.
-- Parameters: team_id, date_start, date_end (half-open). Columns: teams, pageviews, checksum.
SELECT
    uniqExact(team_id) AS teams,
    sum(pageviews_of_bucket) AS pageviews,
    sum(sipHash64(team_id, period_bucket, pageviews_of_bucket, sessions, persons)) AS checksum
FROM
(
    SELECT
        team_id,
        period_bucket,
        sumMerge(pageviews_count_state) AS pageviews_of_bucket,
        uniqMerge(sessions_uniq_state) AS sessions,
        uniqMerge(persons_uniq_state) AS persons
    FROM {{ table }}
    WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC')
      AND period_bucket < toDateTime(%(date_end)s, 'UTC')
      AND team_id != %(team_id)s
    GROUP BY team_id, period_bucket
)
