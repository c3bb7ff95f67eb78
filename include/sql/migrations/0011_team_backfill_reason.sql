-- 1.0.0: a backfill that succeeded may have a remark too.
-- Parameters: none.
ALTER TABLE web_analytics_team_backfills{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    COMMENT COLUMN reason 'why it failed, or that the source has no events of the team'
