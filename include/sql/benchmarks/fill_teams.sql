-- Enables teams 1 to so many, each with a name.
-- Parameters: teams.
INSERT INTO web_pre_aggregated_teams (team_id, enabled, name)
SELECT number, true, concat('Team ', toString(number))
FROM numbers(1, toUInt64(%(teams)s))
