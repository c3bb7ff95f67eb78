-- Defines web_analytics_source_events, the only thing the pipeline reads events from, on PostHog's events.
-- Another source is another file here that gives the same columns (docs/sources.md).
-- Parameters: none. materialized_columns: the mat_ columns that this installation's events table has; is_distributed: events
--   lie on several nodes.
-- Columns: team_id, uuid, event, timestamp, ingested_at, version, tie_key and tie_position (which of the rows of one
--   event holds), session_id ('' where it is not a valid one), session_started_at (1970 where the session is not
--   valid), distinct_id, person_id, the dimensions, and part_name, by which a refresh of the activity leaves out parts
--   without new rows: not where events lie on several nodes, of which each knows its own parts only.
-- timestamp and team_id stay plain columns, so that filters on them reach the primary key of events.
{% import "macros.sql" as macros %}
{% import "schema/lasting.sql" as lasting with context %}
{% set properties = [
    "$host", "$device_type", "$pathname", "$current_url", "$browser", "$os", "$viewport_width", "$viewport_height",
    "$referring_domain", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
    "$geoip_country_code", "$geoip_city_name", "$geoip_subdivision_1_code", "$geoip_subdivision_1_name",
    "gclid", "gad_source", "fbclid",
] %}
{# The JSON is parsed once for all properties that are not columns: once for each costs several times as much. #}
{% set parsed = [] %}
{% for name in properties if "mat_" ~ name not in materialized_columns %}
{% set _ = parsed.append(name) %}
{% endfor %}
{% macro text(name) -%}
{% if name in parsed -%}
parsed.{{ parsed.index(name) + 1 }}
{%- else -%}
ifNull(`mat_{{ name }}`, '')
{%- endif %}
{%- endmacro %}
{% macro property(name) -%}
if({{ text(name) }} = 'null', '', {{ text(name) }})
{%- endmacro %}
{# What JSONExtractInt makes of the property, whose text is all that a column holds: 1536.8 is 1536, "1e3" is 1000. #}
{% macro whole_number(name) -%}
ifNull(coalesce(toInt64OrNull({{ text(name) }}), accurateCastOrNull(trunc(toFloat64OrNull({{ text(name) }})), 'Int64')), 0)
{%- endmacro %}
{# A click id is text or a number; the text of true, false, null, a list or an object is none. #}
{% macro has_click_id(name) -%}
{{ text(name) }} NOT IN ('', 'null', 'true', 'false') AND NOT match({{ text(name) }}, '^[\\[{]')
{%- endmacro %}
CREATE OR REPLACE VIEW web_analytics_source_events{{ lasting.on_cluster }} AS
WITH
{% if parsed %}
    JSONExtract(properties, 'Tuple({% for name in parsed %}`{{ name }}` String{{ ", " if not loop.last }}{% endfor %})') AS parsed,
{% endif %}
    -- toUUIDOrZero alone would also take 32 digits without dashes
    toUUIDOrZero(if(length(`$session_id`) = 36, `$session_id`, '')) AS session_uuid,
    bitAnd(bitShiftRight(toUInt128(session_uuid), 76), 15) = 7 AS session_is_valid
SELECT
    team_id,
    uuid,
    event,
    timestamp,
    coalesce(inserted_at, toDateTime64(_timestamp, 6, 'UTC')) AS ingested_at,
    -- The order in which the engine itself chooses (ReplacingMergeTree(_timestamp)): of the rows of one sorting key it
    -- keeps the newest _timestamp, and of several of these the one that was written last. Rows of different sorting
    -- keys it never merges: these are put in the order of a hash of theirs, which a merge does not change either.
    toUInt64(toUnixTimestamp(_timestamp)) AS version,
    cityHash64(toDate(timestamp), event, distinct_id) AS tie_key,
    {{ macros.place_in_table }} AS tie_position,
    if(session_is_valid, lower(`$session_id`), '') AS session_id,
    UUIDv7ToDateTime(session_uuid, 'UTC') AS session_started_at,
    distinct_id,
    person_id,
    {{ property("$host") }} AS host,
    {{ property("$device_type") }} AS device_type,
    if({{ property("$pathname") }} != '', {{ property("$pathname") }}, path({{ property("$current_url") }})) AS pathname,
    {{ property("$browser") }} AS browser,
    {{ property("$os") }} AS os,
    {{ whole_number("$viewport_width") }} AS viewport_width,
    {{ whole_number("$viewport_height") }} AS viewport_height,
    {{ property("$referring_domain") }} AS referring_domain,
    {{ property("utm_source") }} AS utm_source,
    {{ property("utm_medium") }} AS utm_medium,
    {{ property("utm_campaign") }} AS utm_campaign,
    {{ property("utm_term") }} AS utm_term,
    {{ property("utm_content") }} AS utm_content,
    {{ property("$geoip_country_code") }} AS country_code,
    {{ property("$geoip_city_name") }} AS city_name,
    {{ property("$geoip_subdivision_1_code") }} AS region_code,
    {{ property("$geoip_subdivision_1_name") }} AS region_name,
    {{ has_click_id("gclid") }} AS has_gclid,
    {{ text("gad_source") }} = '1' AS has_gad_source_paid_search,
    {{ has_click_id("fbclid") }} AS has_fbclid{{ "," if not is_distributed }}
{% if not is_distributed %}
    _part AS part_name
{% endif %}
FROM events
