-- Creates the list of the events that have several rows.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ repeated }}
(
    uuid UUID
)
ENGINE = MergeTree
ORDER BY tuple()
