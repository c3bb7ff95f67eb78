-- Takes the lock of a date, or takes over an abandoned one: creating a table of a given name succeeds for one
-- contender only and fails with code 57 for all others.
-- Parameters: comment (JSON with dag_id, run_id and token).
CREATE TABLE {{ lock_table }}
(
    token String,
    renewed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY token
COMMENT %(comment)s
