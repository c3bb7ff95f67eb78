-- What the role that runs web_analytics_setup may do: create and change this package's tables, views and
-- dictionary, nothing else's. Prefixes (name*) need ClickHouse 24.10 or later.
-- A view that is replaced is made under a name _tmp_replace_… first, at least in 26.7. The engines are asked about where the
-- server's table_engines_require_grant is on.
-- Parameters: none.
GRANT
    SELECT ON {{ database }}.*,
    SELECT ON system.tables,
    SELECT ON system.columns,
    SELECT ON system.databases,
    SELECT ON system.clusters,
    SELECT ON system.processes,
    SELECT ON system.settings,
    CREATE TABLE, DROP TABLE, ALTER TABLE, TRUNCATE, INSERT ON {{ database }}.web_analytics_*,
    CREATE TABLE, DROP TABLE, ALTER TABLE, INSERT ON {{ database }}.web_pre_aggregated_*,
    CREATE VIEW, DROP VIEW ON {{ database }}.web_analytics_*,
    CREATE VIEW, DROP VIEW ON {{ database }}.web_pre_aggregated_*,
    DROP TABLE ON {{ database }}._tmp_replace_*,
    CREATE DICTIONARY, DROP DICTIONARY, dictGet ON {{ database }}.web_pre_aggregated_*,
    SYSTEM RELOAD DICTIONARY ON *.*,
    TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplicatedMergeTree,
    TABLE ENGINE ON ReplacingMergeTree, TABLE ENGINE ON ReplicatedReplacingMergeTree,
    TABLE ENGINE ON AggregatingMergeTree, TABLE ENGINE ON ReplicatedAggregatingMergeTree,
    TABLE ENGINE ON Distributed
TO {{ role }}
