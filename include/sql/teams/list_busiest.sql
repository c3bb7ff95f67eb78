-- The teams of the strategy high_pageviews: the busiest by the median of their daily pageviews, idle days included.
-- Parameters: date_start, date_end, days (how many the range has), limit.
-- Columns: team_id, median_pageviews.
{% import "macros.sql" as macros %}
SELECT
    toUInt64(team_id) AS team_id,
    arrayReduce('median', arrayResize(groupArray(pageviews), %(days)s, toUInt64(0))) AS median_pageviews
FROM
(
    SELECT team_id, toDate(timestamp, 'UTC') AS day, count() AS pageviews
    FROM web_analytics_source_events
    WHERE event IN {{ macros.pageview_events }}
      AND timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
      AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC')
    GROUP BY team_id, day
)
GROUP BY team_id
HAVING median_pageviews > 0
ORDER BY median_pageviews DESC, team_id
LIMIT %(limit)s
