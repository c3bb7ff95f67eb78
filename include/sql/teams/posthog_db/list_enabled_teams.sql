-- For PostgreSQL: the teams of the strategy project_settings.
-- Columns: id.
SELECT id
FROM posthog_team
WHERE web_analytics_pre_aggregated_tables_enabled
