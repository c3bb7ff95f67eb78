-- For PostgreSQL: the teams whose name contains a part, in upper or lower case.
-- Parameters: part, row_limit.
-- Columns: id.
SELECT id
FROM posthog_team
WHERE strpos(lower(name), lower(%(part)s)) > 0
LIMIT %(row_limit)s
