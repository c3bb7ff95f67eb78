"""What it costs to verify and publish a table's day of a million fresh rows."""

from __future__ import annotations

import statistics
import time
from datetime import date

from benchmarks.usage import process_usage

ROWS = 1_000_000
TEAMS = 1_000


def measure(clickhouse, pid: int, day: date, rounds: int) -> dict[str, float]:
    """Medians of assembling the day, comparing it and replacing the partition; the rows lie in a fresh table."""
    from web_analytics.build import locks, steps
    from web_analytics.build.locks import Owner
    from web_analytics.tables import STATS

    lock = locks.acquire(clickhouse, day, Owner("benchmark", "publish"))
    made = steps.Build(lock)
    steps.create_tables(clickhouse, made)
    steps.fill_build_teams(clickhouse, made, range(1, TEAMS + 1))
    clickhouse.run(
        "benchmarks/fill_fresh_rows",
        {"date_start": day, "row_count": ROWS, "teams": TEAMS},
        {"fresh": made.fresh(STATS)},
    )
    cpu, wall = [], []
    for _ in range(rounds):
        before, started = process_usage(pid)[0], time.monotonic()
        steps.assemble_clone(clickhouse, made, STATS)
        steps.replace_partition(clickhouse, made, STATS)
        wall.append(time.monotonic() - started)
        cpu.append(process_usage(pid)[0] - before)
    steps.release(clickhouse, made)
    return {
        "publish_1m_rows_cpu_s": statistics.median(cpu),
        "publish_1m_rows_wall_s": statistics.median(wall),
    }
