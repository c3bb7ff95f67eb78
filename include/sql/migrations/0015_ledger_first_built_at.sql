-- 1.0.0: when a team's day was built for the first time, which the service level needs. Of earlier rows it is what they tell.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_backfill_ledger{{ lasting.on_cluster }}
    ADD COLUMN IF NOT EXISTS first_built_at DateTime64(6, 'UTC') DEFAULT built_at
        COMMENT 'when a build was recorded for the first time; 1970 where only a cleanup was' AFTER built_at
