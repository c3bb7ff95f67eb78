-- The builds that one team's day in the tables comes from.
-- Parameters: team_id, partition_date. Columns: table_name, build, built_at, newest_ingested_at, dag_id, run_id.
SELECT table_name, build, built_at, newest_ingested_at, dag_id, run_id
FROM web_analytics_backfill_ledger
WHERE partition_date = %(partition_date)s AND team_id = %(team_id)s
ORDER BY built_at DESC
LIMIT 1 BY table_name
