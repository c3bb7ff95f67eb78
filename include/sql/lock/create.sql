-- Takes the lock of a date: creating a table either succeeds for one contender or fails with code 57.
-- Parameters: comment (JSON with dag_id, run_id and token).
CREATE TABLE {{ lock_table }}
(
    token String,
    renewed_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY token
COMMENT %(comment)s
