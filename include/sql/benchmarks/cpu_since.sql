-- CPU seconds that ClickHouse has spent on statements that ended between two instants, and how many there were.
-- Parameters: since, until (texts with microseconds: the driver cuts an instant to its second). Columns: cpu_s, statements.
SELECT
    sum(ProfileEvents['OSCPUVirtualTimeMicroseconds']) / 1e6 AS cpu_s,
    count() AS statements
FROM system.query_log
WHERE type != 'QueryStart'
  AND is_initial_query
  AND event_time_microseconds >= toDateTime64(%(since)s, 6, 'UTC')
  AND event_time_microseconds < toDateTime64(%(until)s, 6, 'UTC')
