-- What was read from the access log.
-- Columns: lines, taken, ignored, malformed (these three add up to the first), first_day and last_day of the
-- lines that could be read, page_days (the days with a page request).
SELECT
    count() AS lines,
    countIf(state = 'taken') AS taken,
    countIf(state = 'ignored') AS ignored,
    countIf(state = 'malformed') AS malformed,
    minIf(toDate(received_at), state != 'malformed') AS first_day,
    maxIf(toDate(received_at), state != 'malformed') AS last_day,
    arraySort(groupUniqArrayIf(toDate(received_at), state = 'taken')) AS page_days
FROM access_log_requests
