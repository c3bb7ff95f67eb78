-- 1.0.0: dates wait for a busy server.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_log{{ lasting.on_cluster }}
    COMMENT COLUMN kind 'decision, wait (for a busy server), attempt, validation, adoption, cleanup, team (its registration changed) or health',
    COMMENT COLUMN status 'decisions: backfill or skip; cleanups also rejected; waits: waiting or over; health: ok, degraded or failing; all others: succeeded or failed'
