-- Creates, where the tables are sharded, the table through which dashboards read a target of all shards.
-- Parameters: none.
CREATE TABLE IF NOT EXISTS distributed_{{ table }} ON CLUSTER '{cluster}' AS {{ table }}
ENGINE = Distributed('{cluster}', currentDatabase(), {{ table }}, cityHash64(team_id))
