-- The teams of the strategy teams_table: those whose newest version is enabled.
-- Parameters: none. Columns: team_id.
SELECT team_id
FROM web_pre_aggregated_teams FINAL
WHERE enabled
ORDER BY team_id
