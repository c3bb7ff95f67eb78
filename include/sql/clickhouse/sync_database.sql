-- Waits until this node has every table that any node has made so far.
-- Parameters: none.
SYSTEM SYNC DATABASE REPLICA {{ database }}
