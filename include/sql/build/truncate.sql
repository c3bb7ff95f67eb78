-- Empties a per-run table, so that a repeated step starts from nothing.
-- Parameters: none.
TRUNCATE TABLE {{ table }} SYNC
