-- How many queries of this database run, where the connection may lead to any node on all of them, that name a table of a build.
-- Parameters: table_prefix (of the build's tables). Columns: running.
SELECT count() AS running
FROM {{ "clusterAllReplicas('" ~ cluster ~ "', system.processes)" if all_nodes else "system.processes" }}
WHERE current_database = currentDatabase() AND position(query, %(table_prefix)s) > 0 AND position(query, 'system.processes') = 0 AND position(query, 'KILL QUERY') = 0{{ " AND is_initial_query" if all_nodes }}
