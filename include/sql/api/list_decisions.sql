-- The newest decisions, each with its reason, and what its dates were estimated to cost and its run has cost so far. Dry
-- runs leave none.
-- Parameters: row_limit. Columns: logged_at, dag_id, run_id, status (backfill or skip), reason, dates, dates_left,
--   estimated_rows, estimated_seconds (0 where it is unknown), rows_read, seconds.
WITH decisions AS
(
    SELECT
        logged_at,
        dag_id,
        run_id,
        status,
        reason,
        JSONExtract(details, 'dates', 'Array(String)') AS dates,
        JSONExtractUInt(details, 'dates_left') AS dates_left,
        JSONExtract(details, 'estimates', 'Array(Tuple(rows UInt64, seconds Float64))') AS estimates
    FROM web_analytics_backfill_log
    WHERE kind = 'decision'
    ORDER BY logged_at DESC
    LIMIT %(row_limit)s
)
SELECT
    logged_at,
    dag_id,
    run_id,
    status,
    reason,
    dates,
    dates_left,
    arraySum(estimates.1) AS estimated_rows,
    arraySum(estimates.2) AS estimated_seconds,
    took.rows_read AS rows_read,
    took.seconds AS seconds
FROM decisions
LEFT JOIN
(
    SELECT dag_id, run_id, sum(log.rows_read) AS rows_read, sum(log.seconds) AS seconds
    FROM web_analytics_backfill_log AS log
    WHERE kind IN ('attempt', 'validation') AND logged_at >= (SELECT min(logged_at) FROM decisions)
    GROUP BY dag_id, run_id
) AS took
    USING (dag_id, run_id)
ORDER BY logged_at DESC
