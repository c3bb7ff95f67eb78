"""What building a day costs beside the earlier systems' shape and beside the floors: reading and writing it."""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, timedelta

from benchmarks.usage import process_usage

TEAMS = 200
SESSIONS_PER_STATEMENT = 200_000
DAYS_IN_A_ROW = 7


@dataclass(frozen=True)
class Layout:
    """How the table of events lies on disk; the defaults are PostHog's.

    :ivar granule_rows: rows of a granule, which is read as a whole.
    :ivar by_day: a partition is a day instead of a month.
    :ivar with_index: a skip index of each granule's instants.
    :ivar with_projection: a projection with all columns in the order of days and teams, and with the table's places.
    """

    granule_rows: int = 8192
    by_day: bool = False
    with_index: bool = False
    with_projection: bool = False


def create(clickhouse, settings, layout: Layout = Layout()) -> None:
    from web_analytics import schema

    clickhouse.run("benchmarks/create_events", names=asdict(layout))
    clickhouse.run("demo/create_person_overrides")
    schema.create_tables(clickhouse)
    schema.create_source_view(clickhouse, settings)


def fill(
    clickhouse, first_session: int, last_session: int, days: int, date_end: date, teams: int = TEAMS
) -> None:
    """Events of these sessions, about six each, in the days before ``date_end``."""
    for first in range(first_session, last_session, SESSIONS_PER_STATEMENT):
        clickhouse.run(
            "benchmarks/fill_events",
            {
                "first_session": first,
                "last_session": min(last_session, first + SESSIONS_PER_STATEMENT),
                "teams": teams,
                "days": days,
                "date_end": date_end,
            },
        )


def repeat_and_merge_some(clickhouse) -> None:
    """Some events twice and some people merged, as in every installation; all else in merged parts, as days are that
    have settled, and so that no merge runs beside what is measured."""
    clickhouse.run("benchmarks/merge_parts")
    clickhouse.run("benchmarks/repeat_events")
    clickhouse.run("benchmarks/fill_person_overrides")


def enabled_teams() -> list[int]:
    return [team_id for team_id in range(1, TEAMS + 1) if team_id % 5]  # four in five


def cost_of(clickhouse, pid: int, work: Callable[[], object]) -> dict[str, float]:
    """What the statements of a piece of work take: the server's CPU, time, and what they read."""
    first = len(clickhouse.statistics)
    cpu_before, started = process_usage(pid)[0], time.monotonic()
    work()
    wall = time.monotonic() - started
    done = clickhouse.statistics[first:]
    return {
        "cpu_s": process_usage(pid)[0] - cpu_before,
        "wall_s": wall,
        "rows_read": sum(each.rows_read for each in done),
        "megabytes_read": sum(each.bytes_read for each in done) / 1e6,
    }


def measure(clickhouse, pid: int, settings, day: date, rounds: int) -> dict[str, float]:
    """Medians of rounds in which each candidate builds the day once, one after the other; then seven days in a row,
    once each."""
    from web_analytics.build.steps import build_partition
    from web_analytics.clickhouse.connection import external_table
    from web_analytics.tables import TABLES

    teams = enabled_teams()
    selected = [external_table("selected_teams", "team_id", "Int64", teams)]
    copies = {table.name: f"copy_of_{table.short_name}" for table in TABLES}
    for name, copy in copies.items():
        clickhouse.run("build/create_like_target", names={"table": copy, "target": name})

    def parameters(of: date) -> dict[str, date]:
        return {"date_start": of, "date_end": of + timedelta(days=1)}

    def ours(of: date) -> None:
        build_partition(clickhouse, settings, of, teams)

    def reference(of: date) -> None:
        for table in TABLES:
            clickhouse.run("benchmarks/truncate", names={"table": copies[table.name]})
            clickhouse.run(
                f"benchmarks/reference_{table.short_name}",
                parameters(of),
                {"table": copies[table.name]},
                external_tables=selected,
                heavy=True,
            )

    def read(of: date) -> None:
        clickhouse.query("benchmarks/read_day", parameters(of), external_tables=selected, heavy=True)

    def copy(of: date) -> None:
        for name, table in copies.items():
            clickhouse.run("benchmarks/truncate", names={"table": table})
            clickhouse.run(
                "benchmarks/copy_day", parameters(of), {"table": table, "target": name}, heavy=True
            )

    candidates: list[Callable[[date], None]] = [ours, reference, read, copy]
    ours(day)  # the floors need finished rows, and caches are warm for all
    costs: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for candidate in candidates:
            costs.setdefault(candidate.__name__, []).append(
                cost_of(clickhouse, pid, functools.partial(candidate, day))
            )
    of_a_day = {
        name: {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
        for name, rounds in costs.items()
    }
    ours_, reference_ = of_a_day["ours"], of_a_day["reference"]
    floors = {key: of_a_day["read"][key] + of_a_day["copy"][key] for key in ("cpu_s", "wall_s")}

    in_a_row = [day - timedelta(days=offset) for offset in range(DAYS_IN_A_ROW)]
    week = {
        candidate.__name__: [
            cost_of(clickhouse, pid, functools.partial(candidate, each)) for each in in_a_row
        ]
        for candidate in (ours, reference)
    }
    totals = {
        name: {key: sum(each[key] for each in days) for key in ("cpu_s", "wall_s")}
        for name, days in week.items()
    }
    clickhouse.run("benchmarks/flush_logs")
    peaks = [
        clickhouse.query("benchmarks/peak_memory", {"statement": statement})[0]["megabytes"]
        for statement in (
            "build/fill_events",
            "build/fill_repeated",
            "build/fill_visits",
            "build/fill_sessions",
            "build/compare_stage_with_source",
        )
    ]
    return {
        "build_cpu_vs_reference": ours_["cpu_s"] / reference_["cpu_s"],
        "build_wall_vs_reference": ours_["wall_s"] / reference_["wall_s"],
        "build_wall_vs_floors": ours_["wall_s"] / floors["wall_s"],
        "build_cpu_vs_floors": ours_["cpu_s"] / floors["cpu_s"],
        "build_7_days_cpu_vs_reference": totals["ours"]["cpu_s"] / totals["reference"]["cpu_s"],
        "build_7_days_wall_vs_reference": totals["ours"]["wall_s"] / totals["reference"]["wall_s"],
        **{f"build_{name}_{key}": value for name, cost in of_a_day.items() for key, value in cost.items()},
        **{
            f"build_7_days_{name}_{key}": value
            for name, cost in totals.items()
            for key, value in cost.items()
        },
        "build_peak_mb": max(peaks),
        "build_reference_peak_mb": clickhouse.query(
            "benchmarks/peak_memory", {"statement": "benchmarks/reference_stats"}
        )[0]["megabytes"],
    }
