-- Compares the freshly aggregated rows of both tables with the staged sessions of the teams that are built, team by team.
-- Parameters: none. Columns: table_name, team_id, measure, expected, found; no row where all is equal.
WITH
    staged AS
    (
        SELECT
            team_id,
            toInt64(sum(length(pathnames))) AS pageviews,
            toInt64(uniq(session_id)) AS sessions,
            toInt64(sum(is_bounce)) AS bounces,
            sum(duration_seconds) AS duration,
            toInt64(count()) AS session_count
        FROM {{ sessions }}
        WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
        GROUP BY team_id
    ),
    found_stats AS
    (
        SELECT
            team_id,
            toInt64(sumMerge(pageviews_count_state)) AS pageviews,
            toInt64(uniqMerge(sessions_uniq_state)) AS sessions
        FROM {{ fresh_stats }}
        GROUP BY team_id
    ),
    found_bounces AS
    (
        SELECT
            team_id,
            toInt64(sumMerge(pageviews_count_state)) AS pageviews,
            toInt64(sumMerge(bounces_count_state)) AS bounces,
            sumMerge(total_session_duration_state) AS duration,
            toInt64(sumMerge(total_session_count_state)) AS session_count
        FROM {{ fresh_bounces }}
        GROUP BY team_id
    )
SELECT
    row.1 AS table_name,
    team_id,
    row.2 AS measure,
    sum(row.3) AS expected,
    sum(row.4) AS found
FROM
(
    SELECT team_id,
        [
            ('{{ stats }}', 'pageviews', pageviews, 0),
            ('{{ stats }}', 'sessions', sessions, 0),
            ('{{ bounces }}', 'pageviews', pageviews, 0),
            ('{{ bounces }}', 'bounces', bounces, 0),
            ('{{ bounces }}', 'duration', duration, 0),
            ('{{ bounces }}', 'session_count', session_count, 0)
        ] AS rows
    FROM staged
    UNION ALL
    SELECT team_id,
        [
            ('{{ stats }}', 'pageviews', 0, pageviews),
            ('{{ stats }}', 'sessions', 0, sessions)
        ]
    FROM found_stats
    UNION ALL
    SELECT team_id,
        [
            ('{{ bounces }}', 'pageviews', 0, pageviews),
            ('{{ bounces }}', 'bounces', 0, bounces),
            ('{{ bounces }}', 'duration', 0, duration),
            ('{{ bounces }}', 'session_count', 0, session_count)
        ]
    FROM found_bounces
)
ARRAY JOIN rows AS row
GROUP BY table_name, team_id, measure
HAVING expected != found
ORDER BY table_name, team_id, measure
