-- What the ledger says each (team, day) of a table was built from.
-- Parameters: date_start, date_end (half-open), team_ids (all teams if empty).
-- Columns: table_name, team_id, day, build ('' where not built), newest_ingested_at, pageviews, sessions, row_count.
SELECT
    table_name,
    team_id,
    partition_date AS day,
    newest.1 AS build,
    newest.2 AS newest_ingested_at,
    newest.3 AS pageviews,
    newest.4 AS sessions,
    newest.5 AS row_count
FROM
(
    SELECT
        table_name,
        team_id,
        partition_date,
        argMax((build, newest_ingested_at, pageviews, sessions, row_count), built_at) AS newest
    FROM web_analytics_backfill_ledger
    WHERE partition_date >= %(date_start)s AND partition_date < %(date_end)s
      AND (empty(%(team_ids)s) OR has(%(team_ids)s, team_id))
    GROUP BY table_name, team_id, partition_date
)
ORDER BY table_name, day, team_id
