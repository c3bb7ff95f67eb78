-- 1.0.0: a build's token is the same in the rows of all its teams; detection reads it of every team and day.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_ledger{{ lasting.on_cluster }}
    MODIFY COLUMN build LowCardinality(String)
