-- One row per line of the access log: what became of it and, if it could be read, the request.
CREATE TABLE IF NOT EXISTS access_log_requests
(
    line_number UInt64,
    state Enum8('malformed' = 0, 'ignored' = 1, 'taken' = 2),
    virtual_host String,
    client String,
    received_at DateTime('UTC'),
    target String,
    path String,
    referrer String,
    user_agent String
)
ENGINE = MergeTree
ORDER BY line_number
