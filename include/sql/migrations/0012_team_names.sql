-- 1.0.0: people search a team by its name.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_pre_aggregated_teams{{ lasting.on_cluster }}
    ADD COLUMN IF NOT EXISTS name String DEFAULT '' COMMENT 'for people; ids alone tell teams apart' AFTER enabled_by
