-- Makes one team the only one of a build.
-- Parameters: team_id.
INSERT INTO {{ build_teams }} (team_id) SELECT toUInt64(%(team_id)s)
