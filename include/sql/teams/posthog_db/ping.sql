-- For PostgreSQL: fails where the connection is dead.
SELECT 1
