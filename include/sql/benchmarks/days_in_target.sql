-- How many days web_pre_aggregated_stats has rows of; with SQLMesh the table behind the view of this name.
-- Parameters: none. Columns: days.
SELECT uniqExact(partition_id) AS days
FROM system.parts
WHERE active
  AND ((database = currentDatabase() AND table = 'web_pre_aggregated_stats')
    OR (database = concat('sqlmesh__', currentDatabase()) AND table LIKE '%%__web_pre_aggregated_stats__%%'))
