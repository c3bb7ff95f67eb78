-- Whether the dictionary and the table behind it agree.
-- Parameters: none. Columns: in_dictionary, in_table, different (teams that only one has, or in which they differ).
SELECT
    countIf(in_one = 'dictionary') AS in_dictionary,
    countIf(in_one = 'table') AS in_table,
    toUInt64(uniqExactIf(team_id, settings_in_dictionary != settings_in_table)) AS different
FROM
(
    SELECT
        team_id,
        in_one,
        groupArrayIf((timezone, backfill_days), in_one = 'dictionary') OVER (PARTITION BY team_id)
            AS settings_in_dictionary,
        groupArrayIf((timezone, backfill_days), in_one = 'table') OVER (PARTITION BY team_id)
            AS settings_in_table
    FROM
    (
        SELECT 'dictionary' AS in_one, team_id, timezone, backfill_days
        FROM dictionary(web_pre_aggregated_teams_dict)
        UNION ALL
        SELECT 'table', team_id, timezone, backfill_days
        FROM web_pre_aggregated_teams FINAL
        WHERE enabled
    )
)
