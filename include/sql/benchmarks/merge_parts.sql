-- Merges the parts of each partition of the events.
-- Parameters: none.
OPTIMIZE TABLE events FINAL
