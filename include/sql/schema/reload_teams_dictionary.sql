-- Makes a change of teams visible to queries at once.
-- Parameters: none.
SYSTEM RELOAD DICTIONARY web_pre_aggregated_teams_dict
