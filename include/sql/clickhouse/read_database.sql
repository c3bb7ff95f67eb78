-- The database that all statements work in, its engine, and in Keeper the place of its catalog (empty where it has none).
-- Parameters: none. Columns: name, engine, place.
SELECT name, engine, extract(engine_full, '^Replicated\\(\'([^\']*)') AS place
FROM system.databases
WHERE name = currentDatabase()
