-- When a DAG last decided, and when a run last did all that it had decided: skipped, or published all its dates.
-- Parameters: dag_id. Columns: decisions, last_decision_at, successes, last_success_at.
SELECT
    count() AS decisions,
    max(decided_at) AS last_decision_at,
    countIf(is_done) AS successes,
    maxIf(greatest(decided_at, last_published_at), is_done) AS last_success_at
FROM
(
    SELECT
        run_id,
        maxIf(logged_at, kind = 'decision') AS decided_at,
        argMaxIf(status, logged_at, kind = 'decision') AS decision,
        argMaxIf(length(JSONExtractArrayRaw(details, 'dates')), logged_at, kind = 'decision') AS planned,
        uniqExactIf(partition_date, kind = 'attempt' AND status = 'succeeded' AND endsWith(task_id, 'publish'))
            AS published,
        maxIf(logged_at, kind = 'attempt') AS last_published_at,
        decision = 'skip' OR published >= planned AS is_done
    FROM web_analytics_backfill_log
    WHERE kind IN ('decision', 'attempt') AND dag_id = %(dag_id)s
    GROUP BY run_id
    HAVING countIf(kind = 'decision') > 0
)
