-- Creates the list of the teams that one build covers, with what the source holds of each before it is
-- read: the newest ingestion time and the number of rows.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ build_teams }}
(
    team_id UInt64,
    newest_ingested_at DateTime64(6, 'UTC'),
    source_events UInt64
)
ENGINE = MergeTree
ORDER BY team_id
