-- Creates the list of event versions that a newer ingested version of the same event replaces.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ superseded_events }}
(
    team_id UInt64,
    uuid UUID,
    ingested_at DateTime64(6, 'UTC'),
    timestamp DateTime64(6, 'UTC'),
    event String,
    session_id String
)
ENGINE = MergeTree
ORDER BY (team_id, uuid)
