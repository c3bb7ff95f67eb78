-- Writes out the query log.
-- Parameters: none.
SYSTEM FLUSH LOGS
