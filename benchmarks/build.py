"""What building a day costs beside the earlier systems' shape and beside the floors: reading and writing it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta

from benchmarks.usage import process_usage

TEAMS = 200
SESSIONS_PER_STATEMENT = 200_000


def fill(clickhouse, settings, sessions: int, days: int, date_end: date) -> None:
    """Events of so many sessions, about six each, in the days before ``date_end``."""
    from web_analytics import schema

    clickhouse.run("benchmark/create_events")
    clickhouse.run("sample_data/create_person_overrides")
    schema.create_tables(clickhouse)
    for first in range(0, sessions, SESSIONS_PER_STATEMENT):
        clickhouse.run(
            "benchmark/fill_events",
            {
                "first_session": first,
                "last_session": min(sessions, first + SESSIONS_PER_STATEMENT),
                "teams": TEAMS,
                "days": days,
                "date_end": date_end,
            },
        )
    schema.create_source_view(clickhouse, settings)


def measure(clickhouse, pid: int, settings, day: date, rounds: int) -> dict[str, float]:
    """Medians of rounds in which each candidate runs once, one after the other."""
    from web_analytics.build import build_partition
    from web_analytics.clickhouse import external_table
    from web_analytics.tables import TABLES

    teams = [team_id for team_id in range(1, TEAMS + 1) if team_id % 5]  # four in five are enabled
    selected = [external_table("selected_teams", "team_id", "Int64", teams)]
    parameters = {"date_start": day, "date_end": day + timedelta(days=1)}
    copies = {table.name: f"copy_of_{table.short_name}" for table in TABLES}
    for name, copy in copies.items():
        clickhouse.run("backfill/create_like_target", names={"table": copy, "target": name})

    def ours() -> None:
        build_partition(clickhouse, settings, day, teams)

    def reference() -> None:
        for table in TABLES:
            clickhouse.run("backfill/truncate", names={"table": copies[table.name]})
            clickhouse.run(
                f"benchmark/reference_{table.short_name}",
                parameters,
                {"table": copies[table.name]},
                external_tables=selected,
                heavy=True,
            )

    def read() -> None:
        clickhouse.query("benchmark/read_day", parameters, external_tables=selected, heavy=True)

    def copy() -> None:
        for name, table in copies.items():
            clickhouse.run("backfill/truncate", names={"table": table})
            clickhouse.run("benchmark/copy_day", parameters, {"table": table, "target": name}, heavy=True)

    candidates: list[Callable[[], None]] = [ours, reference, read, copy]
    ours()  # the floors need finished rows, and caches are warm for all
    cpu: dict[str, list[float]] = {}
    wall: dict[str, list[float]] = {}
    for _ in range(rounds):
        for candidate in candidates:
            cpu_before, started = process_usage(pid)[0], time.monotonic()
            candidate()
            wall.setdefault(candidate.__name__, []).append(time.monotonic() - started)
            cpu.setdefault(candidate.__name__, []).append(process_usage(pid)[0] - cpu_before)
    cpu_s = {name: statistics.median(values) for name, values in cpu.items()}
    wall_s = {name: statistics.median(values) for name, values in wall.items()}
    floors_wall, floors_cpu = wall_s["read"] + wall_s["copy"], cpu_s["read"] + cpu_s["copy"]
    return {
        "build_cpu_vs_reference": cpu_s["ours"] / cpu_s["reference"],
        "build_wall_vs_reference": wall_s["ours"] / wall_s["reference"],
        "build_wall_vs_floors": wall_s["ours"] / floors_wall,
        "build_cpu_vs_floors": cpu_s["ours"] / floors_cpu,
        **{f"build_{name}_cpu_s": value for name, value in cpu_s.items()},
        **{f"build_{name}_wall_s": value for name, value in wall_s.items()},
    }
