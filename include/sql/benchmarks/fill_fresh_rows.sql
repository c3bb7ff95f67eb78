-- Fills a fresh table with so many different rows of one day.
-- Parameters: date_start, row_count, teams.
INSERT INTO {{ fresh }} (period_bucket, team_id, host, pathname, persons_uniq_state, sessions_uniq_state, pageviews_count_state)
SELECT
    toDateTime(%(date_start)s, 'UTC') + INTERVAL (number %% 24) HOUR,
    1 + number %% %(teams)s,
    'www.example',
    concat('/page/', toString(number)),
    initializeAggregation('uniqState', reinterpretAsUUID(sipHash128(number))),
    initializeAggregation('uniqState', toString(number)),
    initializeAggregation('sumState', toUInt64(1))
FROM numbers(toUInt64(%(row_count)s))
