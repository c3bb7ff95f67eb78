-- 1.0.0: a team that was registered without a period gets that of WEB_ANALYTICS_BACKFILL_DAYS when it is backfilled.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
ALTER TABLE web_pre_aggregated_teams{{ lasting.on_cluster }}
    MODIFY COLUMN backfill_days UInt8 DEFAULT 0 COMMENT 'of the first backfill; 0: WEB_ANALYTICS_BACKFILL_DAYS'
