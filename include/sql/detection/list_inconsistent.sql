-- The first of a plan's team-days that are inconsistent, with what the ledger says that each table got.
-- Parameters: plan_id, row_limit. Columns: partition_date, team_id, table_name, build, pageviews (that it stored).
SELECT partition_date, team_id, table_name, build, pageviews
FROM web_analytics_backfill_ledger FINAL
WHERE (partition_date, team_id) IN
(
    SELECT partition_date, team_id
    FROM web_analytics_backfill_plan
    WHERE plan_id = %(plan_id)s AND (stats_state = 'inconsistent' OR bounces_state = 'inconsistent')
    ORDER BY partition_date DESC, team_id
    LIMIT %(row_limit)s
)
ORDER BY partition_date DESC, team_id, table_name
