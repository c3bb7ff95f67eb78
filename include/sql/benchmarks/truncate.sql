-- Empties a table between two measurements.
-- Parameters: none.
TRUNCATE TABLE {{ table }} SYNC
