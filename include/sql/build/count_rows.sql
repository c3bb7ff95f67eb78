-- The live rows of a day.
-- Parameters: date_start, date_end. Columns: row_count.
SELECT count() AS row_count
FROM {{ table }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
