"""What a dashboard pays for asking web_pre_aggregated_freshness, beside a question of its own to one table."""

from __future__ import annotations

from datetime import date, timedelta

TEAM = 123
DAYS = 30
OF_TEAM = "WHERE team_id = {team} AND date >= '{start}' AND date < '{end}'"
QUESTIONS = {
    "freshness": "SELECT date, table, state, complete_through FROM web_pre_aggregated_freshness " + OF_TEAM,
    "freshness_planning": "EXPLAIN SELECT date, table, state, complete_through FROM web_pre_aggregated_freshness "
    + OF_TEAM,
    "freshness_without_conditions": "SELECT count() FROM web_pre_aggregated_freshness WHERE state = 'stale'",
    "dashboard": "SELECT toDate(period_bucket, 'UTC') AS date, sumMerge(pageviews_count_state), "
    "uniqMerge(sessions_uniq_state) FROM web_pre_aggregated_stats " + OF_TEAM + " GROUP BY date",
}
ONCE = {"freshness_without_conditions"}


def measure(clickhouse, settings, date_end: date, rounds: int) -> dict[str, float]:
    """Medians of CPU and wall milliseconds, rows read and peak memory, by what the server tells of each query."""
    from web_analytics import schema

    schema.create_freshness_view(clickhouse, settings)
    values = {"team": TEAM, "start": date_end - timedelta(days=DAYS), "end": date_end}
    for turn in range(rounds):
        for name, question in QUESTIONS.items():
            if turn == 0 or name not in ONCE:
                clickhouse.client.execute(
                    question.format(**values), query_id=f"freshness_benchmark:{name}:{turn}"
                )
    clickhouse.run("benchmarks/flush_logs")
    results = {}
    for row in clickhouse.query("benchmarks/cost_of_questions", {"prefix": "freshness_benchmark:"}):
        for measure in ("cpu_ms", "wall_ms", "rows_read", "peak_mb"):
            results[f"{row['question']}_{measure}"] = row[measure]
    return results
