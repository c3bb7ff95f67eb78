-- The months of which states are kept that are what anybody would find now: no row was written to them since, by the same
-- settings. What is kept is deleted after a while, and what is written on one node may arrive on another in any order: a
-- month counts only while all its rows are there.
-- Parameters: versions (pairs of YYYYMM and version), rules. External table selected_teams (team_id).
-- Columns: date_start, date_end, keep_id, new_teams (of the selected ones those that nobody has looked at).
WITH
    kept AS
    (
        SELECT date_start, date_end, keep_id, kept_rows, team_ids
        FROM web_analytics_kept_months
        WHERE rules = %(rules)s AND (toYYYYMM(date_start), version) IN %(versions)s
          -- What is about to be deleted may be gone when it is asked for.
          AND kept_until > now('UTC') + INTERVAL 10 MINUTE
        ORDER BY kept_at DESC, date_end - date_start DESC, keep_id
        LIMIT 1 BY toYYYYMM(date_start)
    ),
    stored AS
    (
        SELECT keep_id, count() AS kept_rows
        FROM web_analytics_kept_states
        WHERE keep_id IN (SELECT keep_id FROM kept)
        GROUP BY keep_id
    ),
    new AS
    (
        SELECT keep_id, groupArray(team_id) AS team_ids
        FROM
        (
            SELECT keep_id, arrayJoin((SELECT groupArray(toUInt64(team_id)) FROM selected_teams)) AS team_id
            FROM kept
        )
        WHERE (keep_id, team_id) NOT IN (SELECT keep_id, arrayJoin(team_ids) FROM kept)
        GROUP BY keep_id
    )
SELECT kept.date_start AS date_start, kept.date_end AS date_end, kept.keep_id AS keep_id, new.team_ids AS new_teams
FROM kept
LEFT JOIN stored ON stored.keep_id = kept.keep_id
LEFT JOIN new ON new.keep_id = kept.keep_id
WHERE kept.kept_rows = stored.kept_rows
ORDER BY date_start
