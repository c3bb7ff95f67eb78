-- Drops what an exchange, or one that was broken off, has left.
-- Parameters: none.
DROP DICTIONARY IF EXISTS {{ dictionary }}{{ " ON CLUSTER '{cluster}'" if topology != "single" }}
