-- 1.0.0: the number of source rows that a build read, which the threshold of stale days needs.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_ledger{{ lasting.on_cluster }}
    ADD COLUMN IF NOT EXISTS source_events UInt64 COMMENT 'rows of the source, of any kind, when it was read' AFTER newest_ingested_at
