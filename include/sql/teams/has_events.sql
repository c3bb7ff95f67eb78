-- Whether the source has any event of a team: whoever mistyped an id is told so.
-- Parameters: team_id. Columns: has_events.
SELECT count() > 0 AS has_events
FROM
(
    SELECT 1
    FROM web_analytics_source_events
    WHERE team_id = %(team_id)s
    LIMIT 1
)
