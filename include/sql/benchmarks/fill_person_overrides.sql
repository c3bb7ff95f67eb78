-- Gives one distinct id in twenty to another person.
-- Parameters: none.
INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, is_deleted, version)
SELECT DISTINCT team_id, distinct_id, reinterpretAsUUID(sipHash128(distinct_id, 'merged')), 0, 1
FROM events
WHERE cityHash64(distinct_id) %% 20 = 0
