-- The version of the server.
-- Parameters: none. Columns: version.
SELECT version() AS version
