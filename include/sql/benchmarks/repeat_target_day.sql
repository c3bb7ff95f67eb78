-- Gives the day so many days before a built one as many rows, with the teams, hours and pageviews of that one: what detection
-- reads of a target. The number in host keeps rows apart when parts are merged.
-- Parameters: date_start, date_end (of the built day), shift_days.
INSERT INTO {{ table }} (period_bucket, team_id, host, pageviews_count_state)
SELECT period_bucket - toIntervalDay(%(shift_days)s), team_id, leftPad(toString(rowNumberInAllBlocks()), 12, '0'), pageviews_count_state
FROM {{ table }}
WHERE period_bucket >= toDateTime(%(date_start)s, 'UTC') AND period_bucket < toDateTime(%(date_end)s, 'UTC')
