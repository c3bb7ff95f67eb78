-- A number for each month that changes whenever rows of it are written or removed in one of the tables that the
-- states depend on; merging parts leaves it as it is, unless rows are replaced.
-- Parameters: table_names. Columns: month (YYYYMM), version.
SELECT toUInt32OrZero(substring(partition_id, 1, 6)) AS month, groupBitXor(of_partition) AS version
FROM
(
    SELECT
        partition_id,
        cityHash64(database, table, partition_id, max(max_block_number), max(data_version), sum(rows)) AS of_partition
    FROM system.parts
    WHERE database = currentDatabase() AND active AND table IN %(table_names)s
    GROUP BY database, table, partition_id
)
GROUP BY month
