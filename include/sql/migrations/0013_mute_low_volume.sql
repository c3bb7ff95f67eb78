-- 1.0.0: teams whose days with few pageviews nobody is told of.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_pre_aggregated_teams{{ lasting.on_cluster }}
    ADD COLUMN IF NOT EXISTS mute_low_volume Bool DEFAULT false COMMENT 'no verdict on days with few pageviews' AFTER name
