-- Creates the state of each team's first backfill; the newest version of a team's row holds. A selected team
-- without a row, or whose state is not succeeded, is still to be backfilled.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_team_backfills{{ lasting.on_cluster }}
(
    team_id UInt64,
    state LowCardinality(String) COMMENT 'started, succeeded, failed, or left: was not selected any more',
    date_start Date COMMENT 'first UTC day of the team''s period',
    date_end Date COMMENT 'the day after the last one',
    run_id String,
    reason String COMMENT 'why it failed, or that the source has no events of the team',
    version DateTime64(6, 'UTC') COMMENT 'the instant of which the state tells'
)
ENGINE = {{ lasting.engine("ReplacingMergeTree", "version") }}
ORDER BY team_id
