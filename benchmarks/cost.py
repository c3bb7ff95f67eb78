"""How near a date's estimate comes to what building it takes, and what asking for it costs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import date

from benchmarks.usage import process_usage
from web_analytics.clickhouse.connection import ClickHouse, QueryStatistics
from web_analytics.detection import cost
from web_analytics.rules.cost import BuiltDate, Cost, estimate
from web_analytics.tables import BUILT_TABLES


def cost_of(statements: Sequence[QueryStatistics]) -> Cost:
    return Cost(
        rows=sum(each.rows_read for each in statements),
        bytes=sum(each.bytes_read for each in statements),
        seconds=sum(each.seconds for each in statements),
    )


def errors(built: Sequence[BuiltDate]) -> dict[str, float]:
    """Of each date estimated by all the others: how far off, in percent of what it took."""
    found: dict[str, list[float]] = {"rows": [], "seconds": []}
    for number, each in enumerate(built):
        told = estimate(each.source_rows, [*built[:number], *built[number + 1 :]])
        found["rows"].append(abs(told.rows / each.cost.rows - 1) * 100)
        found["seconds"].append(abs((told.seconds or 0) / (each.cost.seconds or 1) - 1) * 100)
    results = {f"estimate_error_{name}_median_pct": statistics.median(off) for name, off in found.items()}
    results |= {f"estimate_error_{name}_max_pct": max(off) for name, off in found.items()}
    results["rows_read_per_source_row"] = statistics.median(
        each.cost.rows / each.source_rows for each in built
    )
    return results


def asking(
    clickhouse: ClickHouse, server_pid: int, day: date, teams: Sequence[int], rounds: int = 20
) -> dict[str, float]:
    """CPU seconds of the server for the estimate of one date, and for one look at the load."""
    tables = {"tables": [table.name for table in BUILT_TABLES]}
    asked = {
        "estimate_of_a_date_cpu_s": lambda: cost.source_rows(clickhouse, day, teams),
        "look_at_the_load_cpu_s": lambda: clickhouse.query("tasks/read_load", tables),
    }
    results = {}
    for name, ask in asked.items():
        ask()
        before = process_usage(server_pid)[0]
        for _ in range(rounds):
            ask()
        results[name] = (process_usage(server_pid)[0] - before) / rounds
    return results
