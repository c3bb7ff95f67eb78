-- Creates the registry of teams: the newest version of a team's row holds. Written by the API, read by the
-- strategy teams_table and by the dictionary web_pre_aggregated_teams_dict.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_pre_aggregated_teams{{ lasting.on_cluster }}
(
    team_id UInt64,
    enabled Bool DEFAULT true,
    timezone String DEFAULT 'UTC',
    backfill_days UInt8 DEFAULT 0 COMMENT 'of the first backfill; 0: WEB_ANALYTICS_BACKFILL_DAYS',
    enabled_by String DEFAULT '',
    name String DEFAULT '' COMMENT 'for people; ids alone tell teams apart',
    mute_low_volume Bool DEFAULT false COMMENT 'no verdict on days with few pageviews',
    version DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC')
)
ENGINE = {{ lasting.engine("ReplacingMergeTree", "version") }}
ORDER BY team_id
