-- The raw rows of merged people, as plain values.
-- Parameters: none. Columns: team_id, distinct_id, person_id, is_deleted, and which row holds: version, block, place.
SELECT
    team_id, distinct_id, person_id, is_deleted, version,
    toUInt64(splitByChar('_', toString(_part))[2]) AS block,
    _part_offset AS place
FROM person_distinct_id_overrides
