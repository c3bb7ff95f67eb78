-- 1.0.0: what the history has come to hold.
-- Parameters: none.
ALTER TABLE web_analytics_backfill_log{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    COMMENT COLUMN kind 'decision, attempt, validation, adoption, cleanup, team (its registration changed) or health',
    COMMENT COLUMN status 'decisions: backfill or skip; cleanups also rejected; health: ok, degraded or failing; all others: succeeded or failed'
