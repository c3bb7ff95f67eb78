-- Appends to the history of decisions, attempts, validations and cleanups.
INSERT INTO web_analytics_backfill_log
    (kind, dag_id, run_id, task_id, map_index, try_number, partition_date, table_name, status, reason, error_code,
     seconds, rows_read, bytes_read, peak_memory_bytes, team_count, query_id, details)
VALUES
