-- For PostgreSQL: the names of teams, of those that have one.
-- Parameters: team_ids.
-- Columns: id, name.
SELECT id, name
FROM posthog_team
WHERE id = ANY(%(team_ids)s) AND name <> ''
