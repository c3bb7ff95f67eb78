-- What a build staged, over its teams.
-- Parameters: none. Columns: teams, sessions, pageviews.
SELECT uniqExact(team_id) AS teams, count() AS sessions, sum(length(pathnames)) AS pageviews
FROM {{ sessions }}
WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
