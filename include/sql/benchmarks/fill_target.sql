-- One row for each team-day that the ledger has: what detection needs to see of a target.
-- Parameters: table_name.
INSERT INTO {{ table }} (period_bucket, team_id, host)
SELECT toDateTime(partition_date, 'UTC') + INTERVAL 10 HOUR, team_id, 'example'
FROM web_analytics_backfill_ledger
WHERE table_name = %(table_name)s
SETTINGS max_partitions_per_insert_block = 0
