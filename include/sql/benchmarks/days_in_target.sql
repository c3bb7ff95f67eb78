-- How many days the tables of a name have rows of; with SQLMesh also the table behind the view of this name.
-- Parameters: like (a pattern of names). Columns: days.
SELECT uniqExact(partition_id) AS days
FROM system.parts
WHERE active
  AND ((database = currentDatabase() AND table LIKE %(like)s)
    OR (database = concat('sqlmesh__', currentDatabase()) AND table LIKE '%%__web_pre_aggregated_stats__%%'))
