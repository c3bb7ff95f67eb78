-- 1.0.0: a ledger entry names one publishing, no longer the lock under which it was built.
-- Parameters: none.
ALTER TABLE web_analytics_backfill_ledger{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    COMMENT COLUMN build 'names one publishing; equal in all tables once it is whole'
