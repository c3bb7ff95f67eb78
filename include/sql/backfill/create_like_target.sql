-- Creates an empty table with a target's own definition.
-- Parameters: none.
CREATE TABLE {{ table }} AS {{ target }}
