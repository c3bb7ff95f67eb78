-- The days of each selected team that are not complete in both tables, the worst teams first. Teams of which every
-- day is complete have no row. Open days, from open_from on, are never gaps.
-- Parameters: open_from, team_limit and those of detection/coverage.sql: date_start, date_end, since,
--   min_daily_pageviews, stale_min_events. External table selected_teams (team_id).
-- Columns: team_id, known_days (days with events or rows), stats_days and bounces_days (each day that is not
-- complete: partition_date, state, source_pageviews), gone_days (a table had rows that are gone since), gap_days (over both tables), waiting_pageviews (on
-- these), teams_to_list and teams_with_gaps (over all teams, also those beyond team_limit).
SELECT
    team_id,
    arraySort(groupArrayIf(partition_date, is_known)) AS known_days,
    arraySort(groupArrayIf((partition_date, stats_state, source_pageviews), is_known AND stats_state != 'complete'))
        AS stats_days,
    arraySort(groupArrayIf((partition_date, bounces_state, source_pageviews), is_known AND bounces_state != 'complete'))
        AS bounces_days,
    arraySort(groupArrayIf(partition_date, rows_are_gone)) AS gone_days,
    sum(gaps_of_day) AS gap_days,
    sumIf(source_pageviews, gaps_of_day > 0) AS waiting_pageviews,
    count() OVER () AS teams_to_list,
    sum(gap_days > 0) OVER () AS teams_with_gaps
FROM
(
    SELECT
        team_id,
        partition_date,
        stats_state,
        bounces_state,
        source_pageviews,
        true AS is_known,
        stats_rows_are_gone OR bounces_rows_are_gone AS rows_are_gone,
        if(partition_date >= %(open_from)s, 0,
           (stats_state NOT IN ('complete', 'idle', 'small')) + (bounces_state NOT IN ('complete', 'idle', 'small'))) AS gaps_of_day
    FROM
    (
{% include "detection/coverage.sql" %}
    )
    UNION ALL
    SELECT toUInt64(team_id), toDate(%(date_start)s), '', '', toUInt64(0), false, false, 0
    FROM selected_teams
)
GROUP BY team_id
HAVING gap_days > 0 OR countIf(is_known AND partition_date >= %(open_from)s) > 0
    OR countIf(is_known AND stats_state != 'idle' AND partition_date < %(open_from)s)
        < dateDiff('day', toDate(%(date_start)s), toDate(%(open_from)s))
ORDER BY gap_days DESC, waiting_pageviews DESC, team_id
LIMIT %(team_limit)s
