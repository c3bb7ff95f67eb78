-- What a build staged, over all its teams.
-- Parameters: none. Columns: teams, sessions, pageviews.
SELECT uniqExact(team_id) AS teams, count() AS sessions, sum(length(pathnames)) AS pageviews
FROM {{ sessions }}
