-- 1.0.0: the activity counts events, not rows, and tells which ones.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_activity{{ lasting.on_cluster }}
    MODIFY COLUMN pageviews UInt64 COMMENT 'events that the writer would take',
    MODIFY COLUMN events UInt64 COMMENT 'events of any kind whose row was ingested on this day',
    ADD COLUMN IF NOT EXISTS fingerprint UInt64 COMMENT 'sum of a hash of each of these events' AFTER events
