{#
  Expressions that more than one statement needs, so that they exist once.

  dimensions        the columns, beside host and device_type, that both tables group by
  common_columns    everything both tables group by, in the order of their sorting key
  bucket(minutes)   the bucket of an event: a function of one row alone (docs/semantics.md)
  rows_of_days(teams, minutes)   narrow columns of the rows of the source in [date_start, date_end), with their bucket. Sets for
                    a read of the source are GLOBAL: the tables that they come from are on this node alone, the events perhaps not
  row_order         of the rows of one event the one that is greatest in this order holds; what comes after tie_position
                    decides where a source has none
  place_in_table    of the rows of a MergeTree table: which was written later, as the engine sees it when it merges them
                    (the first block number of the row's part, then its place in the part)
  newer_than(instant)   now, or just after that instant: what holds because it is newest is newer, whatever the clock says
  fingerprint       of an event, from the row that holds: any other row gives another number, another width of a bucket the same
  activity_of(rows, is_repeated)   what rows of the source, with their bucket, come to by day, team and day of ingestion. Each
                    event counts once: on the day on which the row that holds was ingested. is_repeated is true for all
                    events that have several rows; the others are added up as they are, which makes it cheap.
  in_days()         the filter for the buckets of [date_start, date_end): on the plain timestamp too, so that
                    only the two days are read that a bucket's events can lie in
#}
{% set dimensions = [
    "entry_pathname", "end_pathname", "browser", "os", "viewport_width", "viewport_height", "referring_domain",
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
    "country_code", "city_name", "region_code", "region_name",
    "has_gclid", "has_gad_source_paid_search", "has_fbclid",
] %}
{% set common_columns = ["period_bucket", "team_id", "host", "device_type"] + dimensions %}
{% set pageview_events = "('$pageview', '$screen')" %}
{% set activity_events = "('$pageview', '$screen', '$autocapture')" %}
{% set row_order = "(version, tie_key, tie_position, timestamp, event, session_id)" %}
{% set place_in_table = "bitOr(bitShiftLeft(toUInt64(toUInt64OrZero(extract(_part, '^[^_]+_([0-9]+)_'))), 32), _part_offset)" %}
{% macro newer_than(instant) -%}
greatest(now64(6, 'UTC'), {{ instant }} + INTERVAL 1 MICROSECOND)
{%- endmacro %}
{% macro bucket(minutes) -%}
if(timestamp >= session_started_at AND timestamp < session_started_at + INTERVAL 24 HOUR,
   toStartOfInterval(session_started_at, INTERVAL {{ minutes }} MINUTE),
   toStartOfInterval(timestamp, INTERVAL {{ minutes }} MINUTE))
{%- endmacro %}
{% macro in_days() -%}
timestamp >= toDateTime64(%(date_start)s, 6, 'UTC')
    AND timestamp < toDateTime64(%(date_end)s, 6, 'UTC') + INTERVAL 1 DAY
    AND period_bucket >= toDateTime(%(date_start)s, 'UTC')
    AND period_bucket < toDateTime(%(date_end)s, 'UTC')
{%- endmacro %}
{% macro rows_of_days(teams, minutes) -%}
SELECT *
    FROM
    (
        SELECT
            team_id, uuid, event, timestamp, ingested_at, version, tie_key, tie_position, session_id, distinct_id,
            person_id, pathname,
            {{ bucket(minutes) }} AS period_bucket
        FROM web_analytics_source_events
        WHERE team_id GLOBAL IN (SELECT team_id FROM {{ teams }})
    )
    WHERE {{ in_days() }}
{%- endmacro %}
{% set fingerprint = "cityHash64(uuid, version, timestamp, event, session_id, ingested_at)" %}
{% set is_pageview = "event IN " ~ pageview_events ~ " AND session_id != ''" %}
{% macro activity_of(rows, is_repeated) -%}
SELECT
    partition_date, team_id, ingested_on,
    sumIf(pageviews_of, holds) AS pageviews,
    sumIf(events_of, holds) AS events,
    sumIf(fingerprint_of, holds) AS fingerprint,
    maxIf(newest, holds) AS newest_ingested_at
FROM
(
    SELECT
        partition_date,
        team_id,
        if(is_repeated, holding.1, single_pageviews) AS pageviews_of,
        if(is_repeated, 1, single_events) AS events_of,
        if(is_repeated, holding.2, single_fingerprint) AS fingerprint_of,
        if(is_repeated, holding.3, single_newest) AS newest,
        -- Also the days of ingestion of rows that do not hold: what was kept of these days may be too much.
        arrayJoin(ingestion_days) AS ingested_on,
        ingested_on = toDate(newest, 'UTC') AS holds
    FROM
    (
        SELECT
            partition_date, team_id, is_repeated,
            argMaxIf((pageviews, fingerprint, ingested_at), {{ row_order }}, is_repeated) AS holding,
            sum(pageviews) AS single_pageviews,
            count() AS single_events,
            sum(fingerprint) AS single_fingerprint,
            max(ingested_at) AS single_newest,
            groupUniqArray(ingested_on) AS ingestion_days
        FROM
        (
            SELECT
                toDate(period_bucket, 'UTC') AS partition_date, toUInt64(team_id) AS team_id, period_bucket, uuid,
                event, timestamp, session_id, ingested_at, version, tie_key, tie_position,
                toDate(ingested_at, 'UTC') AS ingested_on,
                toUInt64({{ is_pageview }}) AS pageviews,
                {{ fingerprint }} AS fingerprint,
                {{ is_repeated }} AS is_repeated
            FROM
            (
{{ rows }}
            )
        )
        -- a group for each repeated event, and one for all other rows of a day of ingestion
        GROUP BY
            partition_date, team_id, is_repeated,
            if(is_repeated, uuid, toUUID('00000000-0000-0000-0000-000000000000')),
            if(is_repeated, period_bucket, toDateTime(0, 'UTC')),
            if(is_repeated, toDate(0), ingested_on)
    )
)
GROUP BY partition_date, team_id, ingested_on
{%- endmacro %}
