-- The tables that there are here, SQLMesh's own behind its views among them, and which can be asked by the target's name.
-- Parameters: none. Columns: name, is_target.
SELECT
    name,
    database = currentDatabase() AND name IN ('web_pre_aggregated_stats', 'web_pre_aggregated_bounces') AS is_target
FROM system.tables
WHERE database IN (currentDatabase(), concat('sqlmesh__', currentDatabase()))
ORDER BY name
