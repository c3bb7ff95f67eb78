-- 1.0.0: a ledger entry names one publishing, no longer the lock under which it was built.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_ledger{{ lasting.on_cluster }}
    COMMENT COLUMN build 'names one publishing; equal in all tables once it is whole'
