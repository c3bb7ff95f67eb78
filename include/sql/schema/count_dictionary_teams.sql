-- Whether the dictionary and the table behind it agree.
-- Parameters: none. Columns: in_dictionary, in_table.
SELECT
    (SELECT count() FROM dictionary(web_pre_aggregated_teams_dict)) AS in_dictionary,
    (SELECT count() FROM web_pre_aggregated_teams FINAL WHERE enabled) AS in_table
