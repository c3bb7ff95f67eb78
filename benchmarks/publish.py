"""What it costs to verify and publish a table's day of a million fresh rows."""

from __future__ import annotations

import statistics
import time
from datetime import date

from benchmarks.usage import process_usage

ROWS = 1_000_000
TEAMS = 1_000


def measure(clickhouse, pid: int, day: date, rounds: int) -> dict[str, float]:
    """Medians of counting what is there, replacing the partition and comparing it; the rows lie in a fresh table."""
    from web_analytics.build import locks, steps
    from web_analytics.build.locks import Owner, Try
    from web_analytics.tables import BUILT_TABLES, STATS

    lock = locks.acquire(clickhouse, day, Owner("benchmark", "publish"))
    made = Try.new(lock, "publish", 1)
    fresh = {table: made.table(steps.fresh_thing(table)) for table in BUILT_TABLES}
    steps.create_teams(clickhouse, made.table("teams"), range(1, TEAMS + 1))
    for table, name in fresh.items():
        steps.create_like_target(clickhouse, name, table)
    clickhouse.run(
        "benchmarks/fill_fresh_rows",
        {"date_start": day, "row_count": ROWS, "teams": TEAMS},
        {"fresh": fresh[STATS]},
    )
    cpu, wall = [], []
    for _ in range(rounds):
        before, started = process_usage(pid)[0], time.monotonic()
        published = steps.Day(made, steps.Staged.of(made), fresh)
        assembled = steps.assemble(clickhouse, published)
        steps.replace_partition(clickhouse, lock, STATS, assembled[STATS])
        steps.compare_published(clickhouse, published, assembled)
        wall.append(time.monotonic() - started)
        cpu.append(process_usage(pid)[0] - before)
    locks.release(clickhouse, lock)
    return {
        "publish_1m_rows_cpu_s": statistics.median(cpu),
        "publish_1m_rows_wall_s": statistics.median(wall),
    }
