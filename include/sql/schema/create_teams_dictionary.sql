-- Creates the dictionary of enabled teams, which queries ask with dictHas(). It signs in as the connection does now.
-- Parameters: user and password (only where the connection has a login of its own).
{% import "schema/lasting.sql" as lasting with context %}
CREATE DICTIONARY {{ dictionary }}{{ lasting.on_cluster }}
(
    team_id UInt64,
    timezone String DEFAULT 'UTC',
    backfill_days UInt8 DEFAULT 7
)
PRIMARY KEY team_id
SOURCE(CLICKHOUSE(
    QUERY 'SELECT team_id, timezone, backfill_days FROM `{{ database }}`.web_pre_aggregated_teams FINAL WHERE enabled'
{% if with_credentials %}
    USER %(user)s PASSWORD %(password)s
{% endif %}
))
LAYOUT(HASHED())
LIFETIME(MIN 60 MAX 120)
