-- What a build has staged, over its teams, and how many of these are no longer selected.
-- Parameters: none. External table selected_teams (team_id), unless all are selected.
-- Columns: teams (that have sessions), sessions, pageviews, left_out (teams).
SELECT
    uniqExact(team_id) AS teams,
    count() AS sessions,
    sum(length(pathnames)) AS pageviews,
{% if all_are_selected %}
    0 AS left_out
{% else %}
    (
        SELECT count()
        FROM {{ build_teams }}
        WHERE team_id NOT IN (SELECT toUInt64(team_id) FROM selected_teams)
    ) AS left_out
{% endif %}
FROM {{ sessions }}
WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
