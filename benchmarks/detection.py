"""What detection costs with kept activity, for many teams and a long lookback."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight

from benchmarks.usage import process_usage


def fill(clickhouse, settings, teams: int, days: int, date_end: date) -> None:
    from web_analytics import activity, schema
    from web_analytics.tables import TABLES

    schema.create_tables(clickhouse)
    for offset in range(0, days, 60):
        clickhouse.run(
            "benchmark/fill_activity",
            {"teams": teams, "days": min(60, days - offset), "date_end": date_end - timedelta(days=offset)},
        )
    for table in TABLES:
        clickhouse.run("benchmark/fill_ledger", {"table_name": table.name})
        clickhouse.run("benchmark/fill_target", {"table_name": table.name}, {"table": table.name})
    now = datetime.now(UTC)
    clickhouse.run(
        "activity/record_scan",
        {
            "source": settings.source,
            "kind": "extension",
            "date_start": date_end - timedelta(days=days),
            "date_end": date_end,
            "watermark": activity.as_text(datetime.combine(date_end, midnight(), tzinfo=UTC)),
            "scanned_at": activity.as_text(now),
            "rows_read": 0,
            "seconds": 0.0,
        },
    )


def measure(
    clickhouse, pid: int, settings, teams: int, days: int, date_end: date, rounds: int
) -> dict[str, float]:
    """CPU seconds of the server for one detection over so many days, of missing days and of all kinds."""
    from web_analytics import detection
    from web_analytics.decision import GAP_KINDS, MISSING
    from web_analytics.partitions import DateRange
    from web_analytics.teams import TeamSelection

    selection = TeamSelection(frozenset(range(teams)))
    partitions = DateRange(date_end - timedelta(days=days), date_end)
    results = {}
    for label, kinds in (("", (MISSING,)), ("_all_kinds", GAP_KINDS)):
        cpu, wall = [], []
        for _ in range(rounds):
            before, started = process_usage(pid)[0], time.monotonic()
            for piece in detection.in_pieces(partitions, teams):
                query = detection.coverage_query(clickhouse, settings, piece, kinds=kinds, may_be_behind=True)
                clickhouse.query(
                    "detect/count_gaps",
                    {**query.parameters, "states": kinds, "priority_team_ids": []},
                    {**query.names, "stored": False},
                    external_tables=[selection.as_external_table()],
                    heavy=True,
                )
            cpu.append(process_usage(pid)[0] - before)
            wall.append(time.monotonic() - started)
        size = f"{teams // 1000}k_teams_{days}_days"
        results[f"detect_cpu_s_{size}{label}"] = statistics.median(cpu)
        results[f"detect_wall_s_{size}{label}"] = statistics.median(wall)
    return results
