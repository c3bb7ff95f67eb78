-- Fills the kept activity with pageviews that follow the weekday, with noise of a third either way; one team-day in 50 has lost
-- half. One in five has rows of two days of ingestion.
-- Parameters: teams, days, date_end.
INSERT INTO web_analytics_activity (partition_date, team_id, ingested_on, pageviews, scanned_at)
SELECT
    partition_date, team_id, partition_date + later,
    toUInt64((1000 + team_id) * if(toDayOfWeek(partition_date) > 5, 0.5, 1) * (0.7 + chance %% 600 / 1000) * if(chance %% 50 = 0, 0.5, 1)
        * if(chance %% 5 > 0, 1, if(later = 1, 0.1, 0.9))),
    now64(6, 'UTC')
FROM
(
    SELECT
        toDate(%(date_end)s) - 1 - intDiv(number, %(teams)s) AS partition_date,
        number %% %(teams)s AS team_id,
        cityHash64(number) AS chance,
        arrayJoin(if(chance %% 5 = 0, [0, 1], [0])) AS later
    FROM numbers(toUInt64(%(teams)s * %(days)s))
)
SETTINGS max_partitions_per_insert_block = 0
