-- The engine of the database that all statements work in.
-- Parameters: none. Columns: engine.
SELECT engine
FROM system.databases
WHERE name = currentDatabase()
