-- What a target table holds for each (team, day), in the measures of the oracle (validation/oracle_<source>).
-- A uniq state depends only on the set it has seen, so its estimates can be compared to the last digit with
-- uniq() over the same set.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty).
-- Columns: team_id, day, row_count, buckets, placement, pageviews, session_estimate, persons; where the table
--   has them: sessions, bounces, duration.
SELECT
    team_id,
    day,
    sum(rows_of_bucket) AS row_count,
    count() AS buckets,
    sum(pageviews_of_bucket * (toUnixTimestamp(period_bucket) %% 86400)) AS placement,
    sum(pageviews_of_bucket) AS pageviews,
{% if counts_sessions %}
    sum(sessions_of_bucket) AS sessions,
    sum(bounces_of_bucket) AS bounces,
    sum(duration_of_bucket) AS duration,
{% endif %}
    uniqMerge(sessions_state) AS session_estimate,
    uniqMerge(persons_state) AS persons
FROM
(
    SELECT
        team_id,
        period_bucket,
        toDate(period_bucket, 'UTC') AS day,
        count() AS rows_of_bucket,
        sumMerge(pageviews_count_state) AS pageviews_of_bucket,
{% if counts_sessions %}
        sumMerge(total_session_count_state) AS sessions_of_bucket,
        sumMerge(bounces_count_state) AS bounces_of_bucket,
        sumMerge(total_session_duration_state) AS duration_of_bucket,
{% endif %}
        uniqMergeState(sessions_uniq_state) AS sessions_state,
        uniqMergeState(persons_uniq_state) AS persons_state
    FROM {{ table }}
    WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC')
      AND period_bucket < toDateTime(%(date_end)s, 'UTC')
      AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
    GROUP BY team_id, period_bucket
)
GROUP BY team_id, day
ORDER BY day, team_id
