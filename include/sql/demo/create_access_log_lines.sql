-- The lines of a web server's access log as they were sent.
CREATE TABLE IF NOT EXISTS access_log_lines
(
    line_number UInt64,
    line String
)
ENGINE = MergeTree
ORDER BY line_number
