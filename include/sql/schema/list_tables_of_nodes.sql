-- What each node of the cluster has in this database.
-- Parameters: none. Columns: node (host and port), tables (empty where it has none, or no such database).
SELECT node, groupArrayIf(name, name != '') AS tables
FROM
(
    SELECT concat(hostName(), ':', toString(tcpPort())) AS node, '' AS name
    FROM clusterAllReplicas('{{ cluster }}', system.databases)
    UNION ALL
    SELECT concat(hostName(), ':', toString(tcpPort())), name
    FROM clusterAllReplicas('{{ cluster }}', system.tables)
    WHERE database = currentDatabase()
)
GROUP BY node
ORDER BY node
