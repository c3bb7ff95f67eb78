-- Creates the list of the teams that one build covers.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ build_teams }}
(
    team_id UInt64
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY team_id
