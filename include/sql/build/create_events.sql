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
    version UInt64 COMMENT 'of the rows of one event the one with the largest (version, tie_key, tie_position) holds',
    tie_key UInt64,
    tie_position UInt64 CODEC(Delta, LZ4),
    pathname String COMMENT 'of a pageview, like distinct_id and person_id',
    distinct_id String,
    person_id UUID
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY tuple()
