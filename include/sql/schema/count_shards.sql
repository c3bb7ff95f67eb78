-- Over how many shards a Replicated database lies: it is a cluster of its own name.
-- Parameters: none. Columns: shards.
SELECT uniqExact(shard_num) AS shards
FROM system.clusters
WHERE cluster = currentDatabase()
