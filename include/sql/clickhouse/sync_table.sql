-- Waits until this node has every row that any node has written to a table so far.
-- Parameters: none.
SYSTEM SYNC REPLICA {{ table }} LIGHTWEIGHT
