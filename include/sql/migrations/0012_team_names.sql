-- 1.0.0: people search a team by its name.
-- Parameters: none.
ALTER TABLE web_pre_aggregated_teams{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
    ADD COLUMN IF NOT EXISTS name String DEFAULT '' COMMENT 'for people; ids alone tell teams apart' AFTER enabled_by
