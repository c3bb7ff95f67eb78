-- Gives each of so many days before a day the rows that a table has of that day: the kept activity, or the ledger.
-- Parameters: day, days.
INSERT INTO {{ table }}
SELECT * REPLACE (partition_date - arrayJoin(range(1, 1 + %(days)s)) AS partition_date)
FROM (SELECT * FROM {{ table }} WHERE partition_date = %(day)s)
SETTINGS max_partitions_per_insert_block = 0
