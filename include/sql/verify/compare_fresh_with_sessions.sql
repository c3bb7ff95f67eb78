-- Compares the freshly aggregated rows of both tables with the staged sessions, team by team.
-- Parameters: none. Columns: table_name, team_id, measure, expected, found; no row where all is equal.
WITH
    staged AS
    (
        SELECT
            team_id,
            [
                ('pageviews', toInt64(sum(length(pathnames)))),
                ('sessions', toInt64(uniq(session_id))),
                ('bounces', toInt64(sum(is_bounce))),
                ('duration', sum(duration_seconds)),
                ('session_count', toInt64(count()))
            ] AS measures
        FROM {{ sessions }}
        GROUP BY team_id
    ),
    found_stats AS
    (
        SELECT
            team_id,
            [
                ('pageviews', toInt64(sumMerge(pageviews_count_state))),
                ('sessions', toInt64(uniqMerge(sessions_uniq_state)))
            ] AS measures
        FROM {{ fresh_stats }}
        GROUP BY team_id
    ),
    found_bounces AS
    (
        SELECT
            team_id,
            [
                ('pageviews', toInt64(sumMerge(pageviews_count_state))),
                ('sessions', toInt64(uniqMerge(sessions_uniq_state))),
                ('bounces', toInt64(sumMerge(bounces_count_state))),
                ('duration', sumMerge(total_session_duration_state)),
                ('session_count', toInt64(sumMerge(total_session_count_state)))
            ] AS measures
        FROM {{ fresh_bounces }}
        GROUP BY team_id
    )
SELECT
    table_name,
    team_id,
    pair.1 AS measure,
    sumIf(pair.2, side = 'expected') AS expected,
    sumIf(pair.2, side = 'found') AS found
FROM
(
    SELECT '{{ stats }}' AS table_name, 'expected' AS side, team_id, arraySlice(measures, 1, 2) AS measures FROM staged
    UNION ALL
    SELECT '{{ stats }}', 'found', team_id, measures FROM found_stats
    UNION ALL
    SELECT '{{ bounces }}', 'expected', team_id, measures FROM staged
    UNION ALL
    SELECT '{{ bounces }}', 'found', team_id, measures FROM found_bounces
)
ARRAY JOIN measures AS pair
GROUP BY table_name, team_id, measure
HAVING expected != found
ORDER BY table_name, team_id, measure
LIMIT 100
