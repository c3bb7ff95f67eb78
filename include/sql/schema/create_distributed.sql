-- Creates, where the tables are sharded, the table through which dashboards read a target of all shards.
-- Parameters: none.
{% import "schema/lasting.sql" as lasting with context %}
CREATE TABLE IF NOT EXISTS distributed_{{ table }}{{ lasting.on_cluster }} AS {{ table }}
ENGINE = Distributed('{{ cluster }}', currentDatabase(), {{ table }}, cityHash64(team_id))
