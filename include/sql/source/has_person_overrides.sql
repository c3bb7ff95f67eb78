-- Whether people are merged in this installation: 1 where person_distinct_id_overrides exists.
-- Parameters: none. Columns: has_person_overrides.
SELECT count() AS has_person_overrides
FROM system.tables
WHERE database = currentDatabase() AND name = 'person_distinct_id_overrides'
