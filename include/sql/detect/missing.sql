-- The team-days that lack rows in a table, from the kept activity: what detect/coverage.sql says of them, in half of
-- its time, since only these are looked at closely. Sets of team ids tell them from all others. Part of other
-- statements.
-- Parameters: date_start, date_end, min_daily_pageviews. External table selected_teams (team_id).
-- Columns: those of detect/coverage.sql; a state other than missing and small is not told exactly.
{% macro teams_in(table) -%}
SELECT toDate(period_bucket, 'UTC') AS day, groupBitmapState(team_id) AS teams
            FROM {{ table }}
            WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
              -- enough for the index, and cheaper than looking up the team of each row
              AND team_id >= (SELECT toUInt64(min(team_id)) FROM selected_teams)
              AND team_id <= (SELECT toUInt64(max(team_id)) FROM selected_teams)
            GROUP BY day
{%- endmacro %}
{% macro state(has_rows) -%}
multiIf({{ has_rows }}, 'complete',
        was_empty AND built_from >= newest_ingested_at, 'idle',
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
        any(has_stats) AS in_stats,
        any(has_bounces) AS in_bounces,
        sum(pageviews) AS source_pageviews,
        max(newest_ingested_at) AS newest_ingested_at
    FROM
    (
        SELECT partition_date, team_id, pageviews, newest_ingested_at
        FROM web_analytics_activity FINAL
        WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
    ) AS kept
    INNER JOIN
    (
        SELECT
            sent.day AS partition_date,
            arrayJoin(bitmapToArray(bitmapAndnot(sent.teams, bitmapAnd(stats.teams, bounces.teams)))) AS team_id,
            bitmapContains(stats.teams, team_id) AS has_stats,
            bitmapContains(bounces.teams, team_id) AS has_bounces
        FROM
        (
            -- Also of outdated rows: one set too large does no harm.
            SELECT partition_date AS day, groupBitmapState(team_id) AS teams
            FROM web_analytics_activity
            WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
              AND pageviews > 0
              AND team_id IN (SELECT toUInt64(team_id) FROM selected_teams)
            GROUP BY day
        ) AS sent
        LEFT JOIN
        (
            {{ teams_in("web_pre_aggregated_stats") }}
        ) AS stats ON stats.day = sent.day
        LEFT JOIN
        (
            {{ teams_in("web_pre_aggregated_bounces") }}
        ) AS bounces ON bounces.day = sent.day
    ) AS lacking ON lacking.partition_date = kept.partition_date AND lacking.team_id = kept.team_id
    GROUP BY team_id, partition_date
    HAVING source_pageviews > 0
) AS found
LEFT JOIN
(
    -- Days of which a build found nothing to store: both entries are of that build and without rows.
    SELECT team_id, partition_date, max(newest_ingested_at) AS built_from, true AS was_empty
    FROM web_analytics_backfill_ledger FINAL
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND (partition_date, team_id) IN
      (
          SELECT partition_date, team_id
          FROM web_analytics_backfill_ledger
          WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s AND row_count = 0
      )
      AND row_count = 0 AND build != ''
      AND table_name IN ('web_pre_aggregated_stats', 'web_pre_aggregated_bounces')
    GROUP BY team_id, partition_date
    HAVING count() = 2 AND uniqExact(build) = 1
) AS empty USING (team_id, partition_date)
