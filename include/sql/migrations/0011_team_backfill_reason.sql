-- 1.0.0: a backfill that succeeded may have a remark too.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_analytics_team_backfills{{ lasting.on_cluster }}
    COMMENT COLUMN reason 'why it failed, or that the source has no events of the team'
