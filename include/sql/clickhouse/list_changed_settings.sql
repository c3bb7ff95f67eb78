-- The settings of this login and connection that are not the engine's defaults.
-- Parameters: none. Columns: name, default.
SELECT name, default
FROM system.settings
WHERE changed AND NOT is_obsolete
