-- Creates an events table of PostHog's form in which every property that is read is a column, as in an installation
-- that has materialized them.
-- Parameters: none. granule_rows: how many rows a granule has at most. by_day: a partition is a day, not a month.
--   with_index: of the instants of each granule. with_projection: all columns once more, in the order of
--   days, with the rows' places in the table.
{% set columns = [
    "$host", "$device_type", "$pathname", "$current_url", "$browser", "$os", "$viewport_width", "$viewport_height",
    "$referring_domain", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
    "$geoip_country_code", "$geoip_city_name", "$geoip_subdivision_1_code", "$geoip_subdivision_1_name",
    "gclid", "gad_source", "fbclid",
] %}
CREATE TABLE IF NOT EXISTS events
(
    uuid UUID,
    event String,
    properties String,
    timestamp DateTime64(6, 'UTC'),
    team_id Int64,
    distinct_id String,
    person_id UUID,
    `$session_id` String,
    _timestamp DateTime('UTC'),
    inserted_at Nullable(DateTime64(6, 'UTC')),
{% for column in columns %}
    `mat_{{ column }}` String{{ "," if not loop.last }}
{% endfor %}
{% if with_index %}
    , INDEX of_instants timestamp TYPE minmax GRANULARITY 1
{% endif %}
{% if with_projection %}
    , PROJECTION in_order_of_days (SELECT *, _part_offset ORDER BY toDate(timestamp), team_id)
{% endif %}
)
ENGINE = ReplacingMergeTree(_timestamp)
PARTITION BY {{ 'toYYYYMMDD' if by_day else 'toYYYYMM' }}(timestamp)
ORDER BY (team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid))
SETTINGS index_granularity = {{ granule_rows }}{{ ", deduplicate_merge_projection_mode = 'rebuild'" if with_projection }}
