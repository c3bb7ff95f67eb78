-- 1.0.0: a build's token is the same in the rows of all its teams; detection reads it of every team and day.
-- Parameters: none.
ALTER TABLE web_analytics_backfill_ledger{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    MODIFY COLUMN build LowCardinality(String)
