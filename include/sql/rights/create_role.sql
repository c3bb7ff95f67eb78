-- Creates a role, for a user of ClickHouse to be granted.
-- Parameters: none.
CREATE ROLE IF NOT EXISTS {{ role }}
