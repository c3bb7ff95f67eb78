-- The second floor of a build: writing the day's finished rows, read from a table that has them.
-- Parameters: date_start, date_end.
INSERT INTO {{ table }}
SELECT *
FROM {{ target }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
