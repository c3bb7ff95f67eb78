-- The teams of the strategy high_pageviews: the busiest by the median of their daily pageviews, idle days included.
-- Parameters: date_start, date_end, days (how many the range has), limit.
--   activity_is_kept: from web_analytics_activity, else from a scan of the source by the same rule.
-- Columns: team_id, median_pageviews.
SELECT
    team_id,
    arrayReduce('median', arrayResize(groupArray(of_the_day), %(days)s, toUInt64(0))) AS median_pageviews
FROM
(
    SELECT team_id, partition_date, sum(pageviews) AS of_the_day
    FROM
    (
{% if activity_is_kept %}
        SELECT team_id, partition_date, pageviews
        FROM web_analytics_activity FINAL
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
{% else %}
{% with only_new = false, only_selected = false %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
{% endif %}
    )
    GROUP BY team_id, partition_date
)
GROUP BY team_id
HAVING median_pageviews > 0
ORDER BY median_pageviews DESC, team_id
LIMIT %(limit)s
