-- Records a build of nearly every team-day of the kept activity in one table, at first two hours after the day's end.
-- Parameters: table_name.
INSERT INTO web_analytics_backfill_ledger
    (table_name, partition_date, team_id, build, newest_ingested_at, source_events, pageviews, sessions, row_count,
     built_at, first_built_at)
SELECT
    %(table_name)s, partition_date, team_id, toString(cityHash64(partition_date)), max(newest_ingested_at), sum(events),
    sum(pageviews), 30, 10, now64(6, 'UTC'),
    toDateTime64(partition_date + 1, 6, 'UTC') + INTERVAL 2 HOUR
FROM web_analytics_activity
WHERE cityHash64(team_id, partition_date) %% 97 > 0
GROUP BY partition_date, team_id
SETTINGS max_partitions_per_insert_block = 0
