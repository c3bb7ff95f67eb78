-- Drops the view that dashboards ask, where nothing is kept that it could tell.
-- Parameters: none.
DROP VIEW IF EXISTS web_pre_aggregated_freshness{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
