-- Drops a per-run table or a lock, at once and whether or not it still exists.
-- Parameters: none.
DROP TABLE IF EXISTS {{ table }} SYNC
