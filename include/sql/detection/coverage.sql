-- The state of each (team, partition) in both tables: missing, inconsistent, stale, orphan, complete, small or
-- idle, in this order of precedence (docs/semantics.md). One row per team and day that has events, rows or a ledger
-- entry. Part of other statements.
-- Example, run by tests/detection/test_worked_example.py: what happened to five days of a team, and what is said of them.
--   day | what happened               | stats_state | bounces_state
--   1   | visit, build                | complete    | complete
--   2   | visit                       | missing     | missing
--   3   | visit, build, lose bounces  | complete    | missing
--   4   | visit, build, late visit    | stale       | stale
--   5   | visit, build, lose ledger   | orphan      | orphan
-- Parameters: date_start, date_end, min_daily_pageviews, stale_min_events. External table selected_teams (team_id).
--   further_tables: short names of the tables beside these two, which are compared with them;
--   activity_is_kept: from web_analytics_activity, else from a scan of the source; with_new, since: see
--   detection/kept_activity.sql; for_readers: of all teams and days from date_start on, so that whoever asks limits them
--   (schema/create_freshness.sql); only_gaps: without team-days whose rows are all right; is_short_range: at most so many days
--   that the teams of each, also those that are not selected, can be held as sets.
-- Columns: team_id, partition_date, stats_state, bounces_state, source_pageviews, newest_ingested_at,
--   stats_rows_are_gone, bounces_rows_are_gone (a build has stored rows, and the table has none); for_readers also
--   stats_built_at, bounces_built_at (1970 where no build has).
-- Four sources give rows of one narrow form that are aggregated once:
--   marks is a set of bits. 1 and 2: the table has rows; 4 and 8: the ledger has an entry for it; 16 and 32: an entry with
--     rows; of each further table, from 64 on: it has rows, and an entry with rows.
--   builds is 0 where the entries of all tables are of one build; only then do they speak of one reading of the source.
--   contents has a lane of bits for each table, which is 0 where it holds as many pageviews as its build has stored.
--   event_count and fingerprint are those of the events of the source less those that the build has read: both are 0
--     where these are the same events.
{% set further = further_tables %}
{% set for_readers = for_readers | default(false) %}
{# What a condition on the columns of the view becomes: it reaches the primary key of each table by itself. #}
{% macro in_range(day) -%}
{{ day }} >= %(date_start)s
{%- if not for_readers %} AND {{ day }} < %(date_end)s
              AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams){% endif %}
{%- endmacro %}
{% macro mark(number) %}{{ number if number < 3 else 4 ** number }}{% endmacro %}
{% set further_rows = namespace(bits=0) %}
{% for table in further %}{% set further_rows.bits = further_rows.bits + 64 * 4 ** loop.index0 %}{% endfor %}
{% set lane_bits = 64 // (2 + further | length) %}
{% macro lane(number, pageviews) -%}
bitShiftLeft(bitAnd(cityHash64({{ pageviews }}), {{ 2 ** lane_bits - 1 }}), {{ lane_bits * (number - 1) }})
{%- endmacro %}
{% macro lane_mask(number) %}{{ (2 ** lane_bits - 1) * 2 ** (lane_bits * (number - 1)) }}{% endmacro %}
{% macro state(has_rows, has_entry, table_number) -%}
multiIf(
    source_pageviews > 0 AND bitAnd(marks, {{ has_rows }}) = 0,
    if(source_pageviews < %(min_daily_pageviews)s, 'small', 'missing'),
    bitAnd(marks, 3) = 3 AND builds != 0
        OR bitAnd(marks, {{ has_rows + has_entry }}) = {{ has_rows + has_entry }} AND bitAnd(contents, {{ lane_mask(table_number) }}) != 0{% if further %}

        OR bitAnd(marks, 12) = 12 AND (
            bitAnd(marks, {{ further_rows.bits }}) * 2 != bitAnd(marks, {{ further_rows.bits * 2 }})
{% for table in further %}
            OR bitAnd(contents, {{ lane_mask(loop.index + 2) }}) != 0
{% endfor %}
        ){% endif %}, 'inconsistent',
    bitAnd(marks, {{ has_rows + has_entry }}) = {{ has_rows + has_entry }} AND source_pageviews > 0
        AND fingerprint != 0 AND greatest(abs(event_count), 1) >= %(stale_min_events)s,
    if(source_pageviews < %(min_daily_pageviews)s, 'small', 'stale'),
    bitAnd(marks, {{ has_rows }}) != 0 AND (source_pageviews = 0 OR bitAnd(marks, {{ has_entry }}) = 0), 'orphan',
    bitAnd(marks, {{ has_rows }}) != 0, 'complete',
    'idle')
{%- endmacro %}
{% set never = "toDateTime64(0, 6, 'UTC')" %}
SELECT
    team_id,
    partition_date,
    {{ state(1, 4, 1) }} AS stats_state,
    {{ state(2, 8, 2) }} AS bounces_state,
    source_pageviews,
    newest_ingested_at,
    bitAnd(marks, 17) = 16 AS stats_rows_are_gone,
    bitAnd(marks, 34) = 32 AS bounces_rows_are_gone{% if for_readers %},
    stats_built_at,
    bounces_built_at{% endif %}

FROM
(
    SELECT
        team_id,
        partition_date,
        groupBitOr(mark) AS marks,
        groupBitXor(build_hash) AS builds,
        groupBitXor(content) AS contents,
        sum(pageviews) AS source_pageviews,
        sum(events) AS event_count,
        sum(event_hash) AS fingerprint,
        max(ingested_at) AS newest_ingested_at{% if for_readers %},
        maxIf(build_ended_at, bitAnd(mark, 4) != 0) AS stats_built_at,
        maxIf(build_ended_at, bitAnd(mark, 8) != 0) AS bounces_built_at{% endif %}

    FROM
    (
        SELECT *
        FROM
        (
            SELECT
                team_id, partition_date, toUInt8(0) AS mark, toUInt64(0) AS build_hash, toUInt64(0) AS content,
                pageviews, toInt64(events) AS events, fingerprint AS event_hash, newest_ingested_at AS ingested_at{{ ", " ~ never ~ " AS build_ended_at" if for_readers }}
            FROM
            (
{% if activity_is_kept %}
{% include "detection/kept_activity.sql" %}
{% else %}
{% with only_new = false, only_selected = true %}
{% include "detection/scan_activity.sql" %}
{% endwith %}
{% endif %}
            )
{% for table in ["stats", "bounces"] + further %}
            UNION ALL
            SELECT team_id, day, {{ mark(loop.index) }}, 0, {{ lane(loop.index, "stored") }}, 0, 0, 0, {{ never }}{{ ", " ~ never if for_readers }}
            FROM
            (
{% if is_short_range and not for_readers %}
                SELECT team_id, YYYYMMDDToDate(_partition_value.1) AS day, sumMerge(pageviews_count_state) AS stored
                FROM web_pre_aggregated_{{ table }}
                -- Partitions are days, so the index alone keeps to the range. A condition that is checked for each
                -- row costs as much as all else that is done for it.
                WHERE indexHint(
                    period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
                    AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams))
                GROUP BY team_id, _partition_value.1
                HAVING team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
{% else %}
                SELECT team_id, toDate(period_bucket, 'UTC') AS day, sumMerge(pageviews_count_state) AS stored
                FROM web_pre_aggregated_{{ table }}
                WHERE {{ in_range("day") }}
                GROUP BY team_id, day
{% endif %}
            )
{% endfor %}
            UNION ALL
            SELECT
                team_id, partition_date,
                -- a cleanup leaves an entry without a build: the day counts as one that was never built
                multiIf(
                    build = '', 0,
{% for table in further %}
                    table_name = 'web_pre_aggregated_{{ table }}', if(row_count > 0, {{ 128 * 4 ** loop.index0 }}, 0),
{% endfor %}
                    table_name = 'web_pre_aggregated_stats', if(row_count > 0, 20, 4),
                    if(row_count > 0, 40, 8)),
{% if further %}
                -- the one of stats cancels out those of all others, if they are of its build
                multiIf(
                    build = '', 0,
{% for table in further %}
                    table_name = 'web_pre_aggregated_{{ table }}', cityHash64(build, '{{ table }}'),
{% endfor %}
                    table_name = 'web_pre_aggregated_bounces', cityHash64(build),
                    {% for table in further %}bitXor(cityHash64(build, '{{ table }}'), {% endfor %}cityHash64(build){{ ")" * further | length }}),
{% else %}
                if(build = '', 0, cityHash64(build)),
{% endif %}
                -- of an entry without rows nothing is expected in the table
                multiIf(
                    build = '' OR row_count = 0, 0,
{% for table in further %}
                    table_name = 'web_pre_aggregated_{{ table }}', {{ lane(loop.index + 2, "pageviews") }},
{% endfor %}
                    table_name = 'web_pre_aggregated_stats', {{ lane(1, "pageviews") }},
                    {{ lane(2, "pageviews") }}),
                0,
                if(table_name = 'web_pre_aggregated_stats', -toInt64(source_events), 0),
                if(table_name = 'web_pre_aggregated_stats', toUInt64(-toInt64(source_fingerprint)), 0),
                {{ never }}{{ ", if(build = '', " ~ never ~ ", built_at)" if for_readers }}
            FROM web_analytics_backfill_ledger FINAL
            WHERE {{ in_range("partition_date") }}
              AND table_name IN ('web_pre_aggregated_stats', 'web_pre_aggregated_bounces'
{%- for table in further %}, 'web_pre_aggregated_{{ table }}'{% endfor %})
        )
{% if not for_readers %}
        -- Limits nothing: it brings the four sources into one stream, and with it one hash table instead of four
        -- that are merged, at a third of the memory and half of the time.
        LIMIT 9223372036854775807 BY ignore(team_id)
{% endif %}
    )
    GROUP BY team_id, partition_date
{% if only_gaps %}
    -- What is complete is most of it, and needs no further thought.
    HAVING NOT (marks = {{ 63 + 3 * further_rows.bits }} AND builds = 0 AND contents = 0 AND fingerprint = 0 AND source_pageviews > 0)
{% else %}
    HAVING marks != 0 OR source_pageviews > 0 OR event_count != 0
{% endif %}
)
