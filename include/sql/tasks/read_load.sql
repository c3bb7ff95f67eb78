-- How busy this server is, without what this package runs itself. Nothing but system tables in memory is read.
-- Parameters: tables (the targets). Columns: queries, memory_percent (0 where the server has no limit), merges (with
--   mutations, of all tables), parts (of the partition of a target that has most), replication_queue (of the target that has
--   most).
SELECT
    greatest(
        0,
        maxIf(value, metric = 'Query')
            - (SELECT toInt64(count()) FROM system.processes WHERE startsWith(query_id, 'web_analytics_'))) AS queries,
    if(memory_limit = 0, 0, 100 * maxIf(value, metric = 'MemoryTracking') / memory_limit) AS memory_percent,
    sumIf(value, metric IN ('Merge', 'PartMutation')) AS merges,
    (
        SELECT max(parts_of_partition)
        FROM
        (
            SELECT count() AS parts_of_partition
            FROM system.parts
            WHERE active AND database = currentDatabase() AND table IN %(tables)s
            GROUP BY table, partition_id
        )
    ) AS parts,
{% if not replicated %}
    0 AS replication_queue
{% else %}
    (
        SELECT max(queue_size)
        FROM system.replicas
        WHERE database = currentDatabase() AND table IN %(tables)s
    ) AS replication_queue
{% endif %}
FROM system.metrics
CROSS JOIN
(
    SELECT max(toUInt64OrZero(value)) AS memory_limit
    FROM system.server_settings
    WHERE name = 'max_server_memory_usage'
) AS memory
WHERE metric IN ('Query', 'MemoryTracking', 'Merge', 'PartMutation')
GROUP BY memory_limit
