-- Creates the view that dashboards ask how fresh the tables are: for each team, UTC day and table its state, the same that
-- detection gives (detection/coverage.sql), and since when it is known. Conditions on team_id and date reach the keys of the
-- tables below. What was not looked at since it was closed is open, so nothing is called complete for want of a look.
-- Parameters: source, date_start (WEB_ANALYTICS_PARTITIONS_START_DATE), settling_minutes, min_daily_pageviews,
--   stale_min_events: the settings when it is created.
-- Columns: team_id, date, table, state (docs/semantics.md; also open and unknown: before the days that were looked at),
--   built_at (NULL where no build has stored or looked at it), complete_through (what was ingested up to this instant is in the
--   rows; NULL unless complete or idle). A team's day without events, rows and build has no row.
{% import "schema/lasting.sql" as lasting with context %}
CREATE OR REPLACE VIEW web_pre_aggregated_freshness{{ lasting.on_cluster }} AS
WITH
    (
        SELECT (minIf(date_start, kind IN ('extension', 'reconciliation')), max(scanned_at))
        FROM web_analytics_activity_scans
        WHERE source = %(source)s
    ) AS looked_at
SELECT
    team_id,
    date,
    of_table.1 AS table,
    multiIf(
        looked_at.2 < toDateTime64(date + 1, 6, 'UTC') + INTERVAL %(settling_minutes)s MINUTE, 'open',
        date < looked_at.1, 'unknown',
        of_table.2) AS state,
    nullIf(of_table.3, toDateTime64(0, 6, 'UTC')) AS built_at,
    if(state IN ('complete', 'idle'), looked_at.2, NULL) AS complete_through
FROM
(
    SELECT
        team_id,
        partition_date AS date,
        [
            ('web_pre_aggregated_stats', toString(stats_state), stats_built_at),
            ('web_pre_aggregated_bounces', toString(bounces_state), bounces_built_at)
        ] AS tables
    FROM
    (
{% with for_readers = true, activity_is_kept = true, with_new = false, only_gaps = false, is_short_range = false %}
{% include "detection/coverage.sql" %}
{% endwith %}
    )
)
ARRAY JOIN tables AS of_table
