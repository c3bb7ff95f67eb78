-- How far each team's tables reach: its newest closed day without a gap in either table, over the teams that have
-- events, rows or a ledger entry in the range. A team with gaps on every day counts as the day before the range.
-- Parameters: date_start, date_end, since, min_daily_pageviews, stale_min_events (detection/coverage.sql), data_since (teams with pageviews from this day on have recent data).
-- External table selected_teams (team_id).
-- Columns: teams_with_data, day_p50, day_p95 and day_worst (95 % and all of the teams reach at least this day).
SELECT
    countIf(newest_pageviews >= %(data_since)s) AS teams_with_data,
    quantileExact(0.5)(newest_good_day) AS day_p50,
    quantileExact(0.05)(newest_good_day) AS day_p95,
    min(newest_good_day) AS day_worst
FROM
(
    SELECT
        team_id,
        maxIf(partition_date, source_pageviews > 0) AS newest_pageviews,
        groupArrayIf(
            partition_date,
            stats_state NOT IN ('complete', 'idle', 'small') OR bounces_state NOT IN ('complete', 'idle', 'small')) AS gap_days,
        arrayMap(back -> toDate(%(date_end)s) - back,
                 range(1, toUInt32(dateDiff('day', toDate(%(date_start)s), toDate(%(date_end)s))) + 1)) AS days,
        if(length(gap_days) = length(days), toDate(%(date_start)s) - 1,
           arrayFirst(day -> NOT has(gap_days, day), days)) AS newest_good_day
    FROM
    (
{% include "detection/coverage.sql" %}
    )
    GROUP BY team_id
)
