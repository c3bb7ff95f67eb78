-- When each finished query of a run's tasks ran.
-- Parameters: run_id (every query of the run has it in its id). Columns: started, ended (seconds since 1970).
SELECT
    toFloat64(query_start_time_microseconds) AS started,
    started + query_duration_ms / 1000 AS ended
FROM system.query_log
WHERE type = 'QueryFinish' AND position(query_id, %(run_id)s) > 0
ORDER BY started
