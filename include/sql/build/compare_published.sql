-- Compares a target's day with the clone that has just taken its place, team by team. Merges change nothing here.
-- Parameters: date_start, date_end. Columns: team_id, expected_pageviews, found_pageviews; no row where all is equal.
SELECT
    team_id,
    sumIf(pageviews, side = 'expected') AS expected_pageviews,
    sumIf(pageviews, side = 'found') AS found_pageviews
FROM
(
    SELECT 'expected' AS side, team_id, sumMerge(pageviews_count_state) AS pageviews
    FROM {{ clone }}
    GROUP BY team_id
    UNION ALL
    SELECT 'found', team_id, sumMerge(pageviews_count_state)
    FROM {{ target }}
    WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
    GROUP BY team_id
)
GROUP BY team_id
HAVING expected_pageviews != found_pageviews
ORDER BY team_id
LIMIT 100
