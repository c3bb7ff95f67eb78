-- The database all statements work in: the connection's schema.
-- Parameters: none. Columns: database.
SELECT currentDatabase() AS database
