-- Creates the list of a day's events: narrow columns of each row of the source, so that the source is read once.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ events }}
(
    period_bucket DateTime('UTC'),
    team_id Int64,
    session_id String,
    uuid UUID,
    event LowCardinality(String),
    timestamp DateTime64(6, 'UTC'),
    ingested_at DateTime64(6, 'UTC'),
    pathname String COMMENT 'of a pageview, like distinct_id and person_id',
    distinct_id String,
    person_id UUID
)
ENGINE = MergeTree
ORDER BY tuple()
