-- Creates the list of the teams that one build covers, with the newest ingestion time seen before it read
-- the source.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ build_teams }}
(
    team_id UInt64,
    newest_ingested_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY team_id
