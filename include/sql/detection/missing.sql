-- The team-days that lack rows in a table, from the kept activity: what detection/coverage.sql says of them, in a fifth of
-- its time where there are many teams, since only these are looked at closely. Part of other statements.
-- Example, the one of detection/coverage.sql; of a day with a dash no row is given:
--   day | what happened               | stats_state | bounces_state
--   1   | visit, build                | -           | -
--   2   | visit                       | missing     | missing
--   3   | visit, build, lose bounces  | complete    | missing
--   4   | visit, build, late visit    | -           | -
--   5   | visit, build, lose ledger   | -           | -
-- Parameters: date_start, date_end (at most 64 days), min_daily_pageviews. External table selected_teams (team_id).
-- Columns: team_id, partition_date, stats_state, bounces_state, source_pageviews, newest_ingested_at; a state other than missing and small is not told exactly.
{% macro days_of_teams(table) -%}
SELECT
                team_id,
                -- a set of days; bit 0 is date_start
                groupBitOr(bitShiftLeft(toUInt64(1), intDiv(toUInt32(period_bucket), 86400) - toUInt16(toDate(%(date_start)s)))) AS days
            FROM {{ table }}
            -- As in detection/coverage.sql; other teams are left out by the join.
            WHERE indexHint(
                period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
                AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams))
            GROUP BY team_id
{%- endmacro %}
{% macro state(has_rows) -%}
multiIf({{ has_rows }}, 'complete',
        source_pageviews < %(min_daily_pageviews)s, 'small',
        'missing')
{%- endmacro %}
SELECT
    team_id,
    partition_date,
    {{ state("in_stats") }} AS stats_state,
    {{ state("in_bounces") }} AS bounces_state,
    source_pageviews,
    newest_ingested_at
FROM
(
    SELECT
        team_id,
        partition_date,
        any(bitTest(days_in_stats, day)) AS in_stats,
        any(bitTest(days_in_bounces, day)) AS in_bounces,
        sum(pageviews) AS source_pageviews,
        max(newest_ingested_at) AS newest_ingested_at
    FROM
    (
        SELECT
            team_id, partition_date, toUInt8(partition_date - toDate(%(date_start)s)) AS day, pageviews, newest_ingested_at
        FROM web_analytics_activity FINAL
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
    ) AS kept
    INNER JOIN
    (
        SELECT selected.team_id AS team_id, stats.days AS days_in_stats, bounces.days AS days_in_bounces
        FROM (SELECT toUInt64(team_id) AS team_id FROM selected_teams) AS selected
        LEFT JOIN
        (
            {{ days_of_teams("web_pre_aggregated_stats") }}
        ) AS stats ON stats.team_id = selected.team_id
        LEFT JOIN
        (
            {{ days_of_teams("web_pre_aggregated_bounces") }}
        ) AS bounces ON bounces.team_id = selected.team_id
    ) AS built ON built.team_id = kept.team_id
    WHERE NOT bitTest(bitAnd(days_in_stats, days_in_bounces), day)
    GROUP BY team_id, partition_date
    HAVING source_pageviews > 0
)
