-- The teams whose name contains a part, in upper or lower case.
-- Parameters: part, row_limit.
-- Columns: team_id.
SELECT team_id
FROM web_pre_aggregated_teams FINAL
WHERE positionCaseInsensitiveUTF8(name, %(part)s) > 0
LIMIT %(row_limit)s
