-- The state of each (team, partition) in both tables: missing, inconsistent, stale, orphan, complete or idle,
-- in this order of precedence (docs/semantics.md). One row per team and day that has events, rows or a ledger
-- entry. Part of other statements.
-- Parameters: date_start, date_end. External table selected_teams (team_id).
-- Columns: team_id, partition_date, stats_state, bounces_state, source_pageviews, newest_ingested_at.
{% import "macros.sql" as macros %}
{% macro state(table, other) -%}
multiIf(
    source_pageviews > 0 AND NOT has_{{ table }}
        AND NOT ({{ table }}_build != '' AND {{ table }}_ledger_rows = 0 AND {{ table }}_ingested_at >= newest_ingested_at),
    'missing',
    has_{{ table }} AND has_{{ other }} AND {{ table }}_build != {{ other }}_build, 'inconsistent',
    has_{{ table }} AND {{ table }}_build != '' AND source_pageviews > 0
        AND newest_ingested_at > {{ table }}_ingested_at, 'stale',
    has_{{ table }} AND (source_pageviews = 0 OR {{ table }}_build = ''), 'orphan',
    has_{{ table }}, 'complete',
    'idle')
{%- endmacro %}
SELECT
    team_id,
    partition_date,
    {{ state("stats", "bounces") }} AS stats_state,
    {{ state("bounces", "stats") }} AS bounces_state,
    source_pageviews,
    newest_ingested_at
FROM
(
    SELECT
        team_id,
        partition_date,
        sum(pageviews) AS source_pageviews,
        max(source_ingested_at) AS newest_ingested_at,
        max(in_stats) AS has_stats,
        max(in_bounces) AS has_bounces,
        max(stats_ledger.1) AS stats_build,
        max(stats_ledger.2) AS stats_ingested_at,
        max(stats_ledger.3) AS stats_ledger_rows,
        max(bounces_ledger.1) AS bounces_build,
        max(bounces_ledger.2) AS bounces_ingested_at,
        max(bounces_ledger.3) AS bounces_ledger_rows
    FROM
    (
        SELECT
            toUInt64(team_id) AS team_id,
            toDate(period_bucket, 'UTC') AS partition_date,
            countIf(event IN {{ macros.pageview_events }} AND session_id != '') AS pageviews,
            max(ingested_at) AS source_ingested_at,
            false AS in_stats,
            false AS in_bounces,
            ('', toDateTime64(0, 6, 'UTC'), toUInt64(0)) AS stats_ledger,
            ('', toDateTime64(0, 6, 'UTC'), toUInt64(0)) AS bounces_ledger
        FROM
        (
            SELECT
                team_id, event, timestamp, ingested_at, session_id,
                {{ macros.bucket(bucket_minutes) }} AS period_bucket
            FROM web_analytics_source_events
            WHERE team_id IN (SELECT team_id FROM selected_teams)
        )
        WHERE {{ macros.in_days() }}
        GROUP BY team_id, partition_date
        UNION ALL
{% for table in ["stats", "bounces"] %}
        SELECT DISTINCT
            team_id,
            toDate(period_bucket, 'UTC'),
            toUInt64(0),
            toDateTime64(0, 6, 'UTC'),
            {{ "true" if table == "stats" else "false" }},
            {{ "true" if table == "bounces" else "false" }},
            ('', toDateTime64(0, 6, 'UTC'), toUInt64(0)),
            ('', toDateTime64(0, 6, 'UTC'), toUInt64(0))
        FROM web_pre_aggregated_{{ table }}
        WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
          AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
        UNION ALL
{% endfor %}
        SELECT
            team_id,
            partition_date,
            toUInt64(0),
            toDateTime64(0, 6, 'UTC'),
            false,
            false,
            argMaxIf((build, newest_ingested_at, row_count), built_at, table_name = 'web_pre_aggregated_stats'),
            argMaxIf((build, newest_ingested_at, row_count), built_at, table_name = 'web_pre_aggregated_bounces')
        FROM web_analytics_backfill_ledger
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
          AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
        GROUP BY team_id, partition_date
    )
    GROUP BY team_id, partition_date
)
