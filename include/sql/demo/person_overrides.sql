-- One device in two was merged into the person of its user; a few of these merges were taken back.
-- Parameters: seed.
INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, is_deleted, version)
SELECT
    team_id,
    distinct_id,
    reinterpretAsUUID(sipHash128(%(seed)s, team_id, replaceOne(distinct_id, 'device-', 'user-'))),
    toInt8(version = 2),
    version
FROM
(
    SELECT
        team_id,
        distinct_id,
        sipHash64(%(seed)s, team_id, distinct_id, 'merged') %% 20 AS chance,
        arrayJoin(if(chance = 0, [1, 2], [1])) AS version
    FROM events
    WHERE startsWith(distinct_id, 'device-')
    GROUP BY team_id, distinct_id
    HAVING chance < 10
)
