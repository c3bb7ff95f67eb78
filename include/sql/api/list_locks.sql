-- The dates that are being built and by which run, after all takeovers: a lock, or the marker by which it was taken over,
-- names the next marker by its token.
-- Parameters: none. Columns: partition_date, lock_table, token, dag_id, run_id, deployment, since.
SELECT
    toDate(parseDateTimeBestEffort(extract(name, '([0-9]{8})'))) AS partition_date,
    concat('web_analytics_lock_', extract(name, '([0-9]{8})')) AS lock_table,
    JSONExtractString(comment, 'token') AS token,
    JSONExtractString(comment, 'dag_id') AS dag_id,
    JSONExtractString(comment, 'run_id') AS run_id,
    JSONExtractString(comment, 'deployment') AS deployment,
    metadata_modification_time AS since
FROM system.tables
WHERE database = currentDatabase()
  AND match(name, '^web_analytics_(lock|takeover)_[0-9]{8}')
  AND token NOT IN
  (
      SELECT extract(name, '^web_analytics_takeover_[0-9]{8}_(.+)$')
      FROM system.tables
      WHERE database = currentDatabase() AND startsWith(name, 'web_analytics_takeover_')
  )
ORDER BY partition_date, since
LIMIT 1 BY partition_date
