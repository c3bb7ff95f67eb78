-- Creates the list of the events that have several rows.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ repeated }}
(
    uuid UUID
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY tuple()
