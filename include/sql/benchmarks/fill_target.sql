-- One row for each team-day that the ledger has, with the pageviews that it has: what detection needs to see of a target.
-- Parameters: table_name.
INSERT INTO {{ table }} (period_bucket, team_id, host, pageviews_count_state)
SELECT
    toDateTime(partition_date, 'UTC') + INTERVAL 10 HOUR, team_id, 'example',
    initializeAggregation('sumState', pageviews)
FROM web_analytics_backfill_ledger
WHERE table_name = %(table_name)s
SETTINGS max_partitions_per_insert_block = 0
