-- One page of teams, the worst first: enabled ones by their gaps, then those that are not enabled. Each row also has
-- the totals over all pages.
-- Parameters: date_start, date_end (closed days only), row_limit, row_offset; since, min_daily_pageviews,
--   stale_min_events (detect/coverage.sql). External tables selected_teams
--   (team_id): the enabled teams to show; other_teams (team_id): teams to show that are not enabled.
-- Columns: team_id, enabled; missing, inconsistent, stale, orphan, complete: (day, table) pairs of the team;
--   waiting_pageviews: source pageviews of its days with a gap; oldest_gap; teams, teams_with_gaps, total_missing,
--   total_inconsistent, total_stale, total_orphan, total_complete, first_gap: the same over all pages.
SELECT
    *,
    count() OVER () AS teams,
    countIf(missing + inconsistent + stale + orphan > 0) OVER () AS teams_with_gaps,
    sum(missing) OVER () AS total_missing,
    sum(inconsistent) OVER () AS total_inconsistent,
    sum(stale) OVER () AS total_stale,
    sum(orphan) OVER () AS total_orphan,
    sum(complete) OVER () AS total_complete,
    min(oldest_gap) OVER () AS first_gap
FROM
(
    SELECT
        shown.team_id AS team_id,
        shown.enabled AS enabled,
        gaps.missing AS missing,
        gaps.inconsistent AS inconsistent,
        gaps.stale AS stale,
        gaps.orphan AS orphan,
        gaps.complete AS complete,
        gaps.waiting_pageviews AS waiting_pageviews,
        gaps.oldest_gap AS oldest_gap
    FROM
    (
        SELECT toUInt64(team_id) AS team_id, true AS enabled FROM selected_teams
        UNION ALL
        SELECT toUInt64(team_id), false FROM other_teams
    ) AS shown
    LEFT JOIN
    (
        SELECT
            team_id,
            countIf(stats_state = 'missing') + countIf(bounces_state = 'missing') AS missing,
            countIf(stats_state = 'inconsistent') + countIf(bounces_state = 'inconsistent') AS inconsistent,
            countIf(stats_state = 'stale') + countIf(bounces_state = 'stale') AS stale,
            countIf(stats_state = 'orphan') + countIf(bounces_state = 'orphan') AS orphan,
            countIf(stats_state = 'complete') + countIf(bounces_state = 'complete') AS complete,
            sumIf(source_pageviews, has_gap) AS waiting_pageviews,
            minOrNullIf(partition_date, has_gap) AS oldest_gap
        FROM
        (
            SELECT
                *,
                stats_state NOT IN ('complete', 'idle', 'small') OR bounces_state NOT IN ('complete', 'idle', 'small')
                    AS has_gap
            FROM
            (
{% include "detect/coverage.sql" %}
            )
        )
        GROUP BY team_id
    ) AS gaps ON gaps.team_id = shown.team_id
)
ORDER BY
    enabled DESC, missing + inconsistent + stale + orphan DESC, missing DESC, waiting_pageviews DESC, team_id
LIMIT %(row_limit)s OFFSET %(row_offset)s
