-- Drops the view that dashboards ask, where nothing is kept that it could tell.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
DROP VIEW IF EXISTS web_pre_aggregated_freshness{{ lasting.on_cluster }}
