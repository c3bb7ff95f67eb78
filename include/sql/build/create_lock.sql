-- Takes the lock of a date, or takes over an abandoned one: creating a table of a given name succeeds for one
-- contender only and fails with code 57 for all others. Each try of a step adds a row when it begins.
-- Parameters: comment (JSON with deployment, dag_id, run_id and token).
CREATE TABLE {{ lock_table }}
(
    token String,
    step LowCardinality(String),
    try_number UInt32,
    try_token String,
    renewed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = {{ "Replicated" if replicated_builds }}MergeTree
ORDER BY (token, step, try_number)
COMMENT %(comment)s
