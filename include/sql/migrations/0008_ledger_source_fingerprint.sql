-- 1.0.0: which events a build read, so that any difference from what the source holds now is seen.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_ledger{{ lasting.on_cluster }}
    MODIFY COLUMN source_events UInt64 COMMENT 'events of any kind that were read',
    ADD COLUMN IF NOT EXISTS source_fingerprint UInt64 COMMENT 'sum of a hash of each of these events' AFTER source_events
