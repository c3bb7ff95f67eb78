"""What detection costs with kept activity, beside a scan of the source and beside the earlier detector's shape."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as midnight

from benchmarks.build import enabled_teams
from benchmarks.usage import process_usage


def fill(clickhouse, settings, teams: int, days: int, date_end: date) -> None:
    """Activity, ledger and tables of so many teams, without events; one team-day in 97 was never built."""
    from web_analytics import schema
    from web_analytics.detection import activity
    from web_analytics.tables import TABLES

    schema.create_tables(clickhouse)
    for offset in range(0, days, 60):
        clickhouse.run(
            "benchmarks/fill_activity",
            {"teams": teams, "days": min(60, days - offset), "date_end": date_end - timedelta(days=offset)},
        )
    for table in TABLES:
        clickhouse.run("benchmarks/fill_ledger", {"table_name": table.name})
        clickhouse.run("benchmarks/fill_target", {"table_name": table.name}, {"table": table.name})
    now = datetime.now(UTC)
    clickhouse.run(
        "detection/record_activity_scan",
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


def detect(clickhouse, settings, days, team_ids, kinds) -> None:
    """One detection over a range, without a refresh of the kept activity."""
    from web_analytics.clickhouse.connection import teams_table
    from web_analytics.detection import activity, coverage

    known = activity.known_range(clickhouse, settings)
    only_missing = coverage.asks_only_missing(settings, kinds)
    for piece in coverage.in_pieces(days, len(team_ids), only_missing=only_missing):
        query = coverage.coverage_query(
            clickhouse, settings, piece, kinds=kinds, may_be_behind=True, known=known
        )
        clickhouse.query(
            "detection/count_gaps",
            {**query.parameters, "states": kinds, "priority_team_ids": []},
            {**query.names, "stored": False},
            external_tables=[teams_table(team_ids)],
            heavy=True,
        )


def _cost(pid: int, work: Callable[[], None], rounds: int, times: int = 1) -> tuple[float, float]:
    """Medians of CPU and wall seconds of one execution; short work is executed several times in a round."""
    cpu, wall = [], []
    for _ in range(rounds):
        before, started = process_usage(pid)[0], time.monotonic()
        for _ in range(times):
            work()
        wall.append((time.monotonic() - started) / times)
        cpu.append((process_usage(pid)[0] - before) / times)
    return statistics.median(cpu), statistics.median(wall)


def measure(
    clickhouse, pid: int, settings, teams: int, days: int, date_end: date, rounds: int
) -> dict[str, float]:
    """CPU seconds of the server for one detection over so many days, of missing days and of all kinds."""
    from web_analytics.rules.partitions import DateRange
    from web_analytics.rules.states import GAP_KINDS, MISSING

    partitions = DateRange(date_end - timedelta(days=days), date_end)
    results = {}
    for label, kinds in (("", (MISSING,)), ("_all_kinds", GAP_KINDS)):
        cpu, wall = _cost(
            pid,
            lambda kinds=kinds: detect(clickhouse, settings, partitions, range(teams), kinds),
            rounds,
        )
        size = f"{teams // 1000}k_teams_{days}_days"
        results[f"detect_cpu_s_{size}{label}"] = cpu
        results[f"detect_wall_s_{size}{label}"] = wall
    return results


def measure_service_level(
    clickhouse, pid: int, settings, teams: int, days: int, date_end: date, rounds: int
) -> dict[str, float]:
    """CPU and wall seconds of the server for the service level of 30 days, of so many days that are kept."""
    from web_analytics.detection import service_level
    from web_analytics.rules.partitions import DateRange
    from web_analytics.rules.service_level import WINDOW_DAYS

    asked = DateRange(date_end - timedelta(days=WINDOW_DAYS), date_end)
    cpu, wall = _cost(
        pid,
        lambda: service_level.ask(clickhouse, settings, asked, range(teams), datetime.now(UTC)),
        rounds,
    )
    size = f"{teams // 1000}k_teams_{days}_days"
    return {f"service_level_cpu_s_{size}": cpu, f"service_level_wall_s_{size}": wall}


def measure_on_events(
    clickhouse, pid: int, settings, days: int, date_end: date, rounds: int
) -> dict[str, float]:
    """The same on real events, of which everything but the newest three days is built: with kept activity, from a
    scan, and in the earlier shape; and what a refresh of the activity costs with nothing new."""
    from web_analytics.build import steps
    from web_analytics.clickhouse.connection import teams_table
    from web_analytics.detection import activity
    from web_analytics.rules.partitions import DateRange
    from web_analytics.rules.states import GAP_KINDS

    partitions = DateRange(date_end - timedelta(days=days), date_end)
    teams = enabled_teams()
    for offset in range(4, days + 1):
        steps.build_partition(clickhouse, settings, date_end - timedelta(days=offset), teams)
    known = activity.refresh(clickhouse, settings, partitions)
    scanned = replace(settings, activity="scanned")
    candidates = {
        "kept": (lambda: detect(clickhouse, settings, partitions, teams, GAP_KINDS), 10),
        "scan": (lambda: detect(clickhouse, scanned, partitions, teams, GAP_KINDS), 1),
        "naive": (
            lambda: clickhouse.query(
                "benchmarks/naive_detection",
                {"date_start": partitions.start, "date_end": partitions.end},
                external_tables=[teams_table(teams)],
                heavy=True,
            ),
            1,
        ),
        "refresh": (lambda: activity.refresh(clickhouse, settings, partitions, known), 1),
    }
    return {
        f"detect_{name}_cpu_s": _cost(pid, work, rounds, times)[0]
        for name, (work, times) in candidates.items()
    }
