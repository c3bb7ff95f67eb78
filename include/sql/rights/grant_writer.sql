-- What the role of the backfill, the team backfill, the health check and the cleanup may do: read the database, write this package's
-- own tables, end queries. It can neither change nor drop a table of events.
-- Parameters: none.
GRANT
    SELECT ON {{ database }}.*,
    SELECT ON system.tables,
    SELECT ON system.columns,
    SELECT ON system.databases,
    SELECT ON system.clusters,
    SELECT ON system.parts,
    SELECT ON system.processes,
    SELECT ON system.settings,
    SELECT ON system.query_log,
    SELECT ON system.metrics,
    SELECT ON system.server_settings,
    SELECT ON system.replicas,
    INSERT, ALTER DELETE, CREATE TABLE, DROP TABLE ON {{ database }}.web_analytics_*,
    INSERT, ALTER DELETE ON {{ database }}.web_pre_aggregated_*,
    dictGet ON {{ database }}.web_pre_aggregated_*,
    SYSTEM RELOAD DICTIONARY, KILL QUERY ON *.*,
    TABLE ENGINE ON MergeTree, TABLE ENGINE ON AggregatingMergeTree
TO {{ role }}
