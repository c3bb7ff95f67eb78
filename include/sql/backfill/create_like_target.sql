-- Creates an empty table with a target's own definition.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS {{ table }} AS {{ target }}
