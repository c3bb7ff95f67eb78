-- Creates the list of months whose states are kept, so that nobody has to look at each of their days again: what was found
-- is in web_analytics_kept_states, which keeps it for as long.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS web_analytics_kept_months{{ lasting.on_cluster }}
(
    date_start Date COMMENT 'the days that were looked at: from this one',
    date_end Date COMMENT 'up to, not including, this one; both of one month',
    version UInt64 COMMENT 'of the rows that the states depend on (detection/read_versions.sql), read before they were',
    rules String COMMENT 'hash of the settings that the states depend on',
    keep_id String COMMENT 'under which the states are in web_analytics_kept_states',
    kept_rows UInt64 COMMENT 'there',
    team_ids Array(UInt64) COMMENT 'that were looked at',
    kept_at DateTime('UTC') DEFAULT now('UTC'),
    kept_until DateTime('UTC')
)
ENGINE = {{ lasting.engine("MergeTree") }}
ORDER BY (date_start, version)
TTL kept_until
