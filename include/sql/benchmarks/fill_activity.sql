-- Fills the kept activity of so many teams and days: a day's rows of its own day of ingestion, and for one team in
-- five some of the next.
-- Parameters: teams, days, date_end.
INSERT INTO web_analytics_activity
    (partition_date, team_id, ingested_on, pageviews, events, newest_ingested_at, scanned_at)
SELECT
    partition_date, team_id, partition_date + later, 100 - 99 * later, 250 - 249 * later,
    toDateTime64(partition_date + later, 6, 'UTC') + INTERVAL 1 HOUR, now64(6, 'UTC')
FROM
(
    SELECT
        toDate(%(date_end)s) - 1 - intDiv(number, %(teams)s) AS partition_date,
        number %% %(teams)s AS team_id,
        arrayJoin(if(cityHash64(number) %% 5 = 0, [0, 1], [0])) AS later
    FROM numbers(toUInt64(%(teams)s * %(days)s))
)
SETTINGS max_partitions_per_insert_block = 0
