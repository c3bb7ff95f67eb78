-- Makes one team the only one of a build. Its newest ingestion time is not read: nothing is built.
-- Parameters: team_id.
INSERT INTO {{ build_teams }} (team_id, newest_ingested_at)
SELECT toUInt64(%(team_id)s), toDateTime64(0, 6, 'UTC')
