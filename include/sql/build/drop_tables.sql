-- Drops per-run tables or locks, at once and whether or not they still exist.
-- Parameters: none.
DROP TABLE IF EXISTS {{ tables | join(", ") }} SYNC
