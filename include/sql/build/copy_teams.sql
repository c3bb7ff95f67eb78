-- Copies the fresh rows of those teams that are published.
-- Parameters: none.
INSERT INTO {{ clone }}
SELECT *
FROM {{ fresh }}
WHERE team_id IN (SELECT team_id FROM {{ build_teams }})
