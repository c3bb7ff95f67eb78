"""``make bench-curve``: how building, detection, refresh, a page and their memory grow with events and with teams.

From nothing, on an embedded ClickHouse: one, four and sixteen times the events of 200 teams (and a build of sixty-four
times), then 200, 2,000 and 20,000 teams with the same events. Beside a build its floors are measured: reading the day's
columns and writing its rows. Writes .bench/curve.json after each size. The figures of a whole run go to
benchmarks/growth.json, and table and picture of docs/scaling.md are made of them; with ``QUICK=1``, which is for trying
the command out, nothing but .bench is written.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.insert(0, str(CHECKOUT / "plugins"))

# After the lines above: what follows reads them when it is imported.
from benchmarks import build as build_benchmark  # noqa: E402
from benchmarks import detection as detection_benchmark  # noqa: E402
from benchmarks import growth  # noqa: E402
from benchmarks.server import fresh_server  # noqa: E402
from web_analytics.api import dependencies  # noqa: E402
from web_analytics.api.coverage import content, ranking, volumes  # noqa: E402
from web_analytics.build import steps  # noqa: E402
from web_analytics.clickhouse.connection import ClickHouse, teams_table  # noqa: E402
from web_analytics.detection import activity  # noqa: E402
from web_analytics.rules.low_volume import HISTORY  # noqa: E402
from web_analytics.rules.partitions import ONE_DAY, lookback  # noqa: E402
from web_analytics.rules.states import GAP_KINDS, MISSING  # noqa: E402
from web_analytics.settings import Settings  # noqa: E402
from web_analytics.tables import TABLES  # noqa: E402

CONNECTION = "clickhouse_default"
# A build reads its day and the next one, into which sessions go on; the next one stays missing, as the newest day is
# each night.
DAYS_WITH_EVENTS = 2
LOOKBACK_DAYS = 30
# The page also judges the volume of each day by the weeks before it.
KNOWN_DAYS = LOOKBACK_DAYS + HISTORY.days
# What the machine does besides must not hold a statement up.
AT_ONCE = {"os_thread_priority": 0}
EVENTS_PER_SESSION = 5.83
PAGE_OF_TEAMS = 25
Cost = dict[str, float | str]


@dataclass(frozen=True)
class Size:
    """What is measured at one point of an axis.

    :ivar events: a day.
    :ivar builds_only: leave out everything but a build, its floors and a refresh: the largest events are for these.
    """

    events: int
    teams: int
    rounds: int
    builds_only: bool = False

    @property
    def sessions(self) -> int:
        """Of all days that have events."""
        return round(self.events / EVENTS_PER_SESSION) * DAYS_WITH_EVENTS


EVENTS = [
    Size(150_000, 200, 5),
    Size(600_000, 200, 3),
    Size(2_400_000, 200, 3),
    Size(9_600_000, 200, 1, True),
]
TEAMS = [Size(150_000, 200, 5), Size(150_000, 2_000, 5), Size(150_000, 20_000, 3)]
QUICK_EVENTS = [Size(10_000, 30, 2), Size(40_000, 30, 2), Size(80_000, 30, 1, True)]
QUICK_TEAMS = [Size(10_000, 30, 2), Size(10_000, 300, 2)]


def measured(
    work: Callable[[ClickHouse], object], rounds: int, connect: Callable[[], ClickHouse] | None = None
) -> Cost:
    """Medians of rounds: CPU seconds and the peak of memory are what the queries' ProfileEvents say; and the statement that
    took most memory.

    :param work: everything that is asked on a connection of its own.
    """

    def default() -> ClickHouse:
        return ClickHouse(CONNECTION, origin=f"curve-{uuid.uuid4().hex[:12]}", heavy_settings=AT_ONCE)

    origins, wall = [], []
    for _ in range(rounds):
        started = time.monotonic()
        with (connect or default)() as connection:
            work(connection)
            origins.append(connection.origin)
        wall.append(time.monotonic() - started)
    with ClickHouse(CONNECTION) as connection:
        connection.run("benchmarks/flush_logs")
        costs = [connection.query("benchmarks/cost_of_queries", {"origin": origin})[0] for origin in origins]
    return {
        "cpu_s": statistics.median(each["cpu_s"] for each in costs),
        "wall_s": statistics.median(wall),
        "peak_mb": statistics.median(each["peak_mb"] for each in costs),
        "largest": costs[-1]["largest"],
    }


def measure_build(clickhouse: ClickHouse, settings: Settings, size: Size, day: date) -> dict[str, Cost]:
    """A build of one day of all teams, and its floors, which need its finished rows."""
    teams = range(1, size.teams + 1)
    of_day = {"date_start": day, "date_end": day + ONE_DAY}
    copies = {table.name: f"copy_of_{table.short_name}" for table in TABLES}

    def build(connection: ClickHouse) -> None:
        steps.build_partition(connection, settings, day, teams)

    def read(connection: ClickHouse) -> None:
        connection.query("benchmarks/read_day", of_day, external_tables=[teams_table(teams)], heavy=True)

    def write(connection: ClickHouse) -> None:
        for name, copy in copies.items():
            connection.run("benchmarks/truncate", names={"table": copy})
            connection.run("benchmarks/copy_day", of_day, {"table": copy, "target": name}, heavy=True)

    for name, copy in copies.items():
        clickhouse.run("build/create_like_target", names={"table": copy, "target": name})
    return {
        "build": measured(build, size.rounds),
        "floor_read": measured(read, size.rounds),
        "floor_write": measured(write, size.rounds),
    }


def measure_refresh(
    clickhouse: ClickHouse, settings: Settings, size: Size, date_end: date
) -> dict[str, Cost]:
    """A refresh of the kept activity that reads the rows that were ingested since the newest day began."""
    days = lookback(date_end, KNOWN_DAYS)
    activity.refresh(clickhouse, settings, days)
    # Whatever time it is: the watermark lies where it lies when a run at night begins.
    newest_day = datetime.combine(date_end - ONE_DAY, time_of_day(), tzinfo=UTC)

    def refresh(connection: ClickHouse) -> None:
        known = activity.known_range(connection, settings)
        activity.refresh(connection, settings, days, replace(known, watermark=newest_day + activity.OVERLAP))

    return {"refresh": measured(refresh, size.rounds)}


def measure_looks(settings: Settings, size: Size, team_ids: Iterable[int], date_end: date) -> dict[str, Cost]:
    """Detection, and a page of the coverage view that nobody has asked for before."""
    days, teams = lookback(date_end, LOOKBACK_DAYS), list(team_ids)

    def of_kinds(kinds: tuple[str, ...]) -> Callable[[ClickHouse], None]:
        return lambda connection: detection_benchmark.detect(connection, settings, days, teams, kinds)

    def connect() -> ClickHouse:
        # As an API server that has just started: nothing is kept from an earlier answer.
        content.GAP_COUNTS, content.VOLUMES = ranking.GapCounts(), volumes.Volumes()
        return dependencies.connect(settings, "", settings.api_max_seconds, **dependencies.QUERY_SETTINGS)

    def page(connection: ClickHouse) -> None:
        view = content.View(days, None, False, 1, PAGE_OF_TEAMS)
        shown = content.read_page(
            connection, settings, view, datetime.combine(date_end, time_of_day(2), tzinfo=UTC)
        )
        # Both tables lack the newest day, or one team-day in 97.
        if len(shown["teams"]) < PAGE_OF_TEAMS or not 0 < shown["totals"]["missing"] <= 2 * size.teams:
            raise RuntimeError(f"The page does not show what was filled in: {shown['totals']}")

    return {
        "detect_missing": measured(of_kinds((MISSING,)), size.rounds),
        "detect_all": measured(of_kinds(GAP_KINDS), size.rounds),
        "page": measured(page, size.rounds, connect),
    }


def repeat_built_day(clickhouse: ClickHouse, day: date) -> None:
    """Gives each day of the lookback before a built day what that day has, so that it is built too; its activity to all
    days before it that are known."""
    of_day = {"date_start": day, "date_end": day + ONE_DAY}
    for shift in range(1, LOOKBACK_DAYS - 1):
        for table in TABLES:
            clickhouse.run(
                "benchmarks/repeat_target_day",
                {**of_day, "shift_days": shift},
                {"table": table.name},
                heavy=True,
            )
    for table, days in (
        ("web_analytics_backfill_ledger", LOOKBACK_DAYS - 2),
        ("web_analytics_activity", KNOWN_DAYS - 2),
    ):
        clickhouse.run("benchmarks/repeat_day", {"day": day, "days": days}, {"table": table})


def empty(clickhouse: ClickHouse) -> None:
    """Forgets what was built and what is known of the events."""
    for table in (
        *(table.name for table in TABLES),
        "web_analytics_backfill_ledger",
        "web_analytics_activity",
        "web_analytics_activity_scans",
    ):
        clickhouse.run("benchmarks/truncate", names={"table": table})


def prepare(clickhouse: ClickHouse, settings: Settings, size: Size, filled: int, date_end: date) -> None:
    """Brings the events to a size, and enables their teams.

    :param filled: sessions that are there.
    """
    build_benchmark.create(clickhouse, settings)
    build_benchmark.fill(clickhouse, filled, size.sessions, DAYS_WITH_EVENTS, date_end, size.teams)
    build_benchmark.repeat_and_merge_some(clickhouse)
    if not filled:
        clickhouse.run("benchmarks/fill_teams", {"teams": size.teams})


def flat(point: int, measures: dict[str, Cost]) -> Cost:
    """One point of an axis as it is written down."""
    return {"at": point} | {
        f"{name}_{kind}": round(value, 4) if isinstance(value, float) else value
        for name, cost in measures.items()
        for kind, value in cost.items()
    }


def along_events(settings: Settings, sizes: Iterable[Size], date_end: date, add: Callable) -> None:
    """More and more events of the same teams."""
    day, filled = date_end - timedelta(days=DAYS_WITH_EVENTS), 0
    with fresh_server() as (_, _, clickhouse):
        for size in sizes:
            prepare(clickhouse, settings, size, filled, date_end)
            filled = size.sessions
            empty(clickhouse)
            found = measure_build(clickhouse, settings, size, day)
            found |= measure_refresh(clickhouse, settings, size, date_end)
            if not size.builds_only:
                repeat_built_day(clickhouse, day)
                found |= measure_looks(settings, size, range(1, size.teams + 1), date_end)
            add(flat(size.events, found))


def along_teams(settings: Settings, sizes: Iterable[Size], date_end: date, add: Callable) -> None:
    """The same number of events of more and more teams; for detection and the page every team has each of the days."""
    for size in sizes:
        with fresh_server() as (_, _, clickhouse):
            prepare(clickhouse, settings, size, 0, date_end)
            found = measure_build(clickhouse, settings, size, date_end - timedelta(days=DAYS_WITH_EVENTS))
            found |= measure_refresh(clickhouse, settings, size, date_end)
            empty(clickhouse)
            detection_benchmark.fill(clickhouse, settings, size.teams, KNOWN_DAYS, date_end)
            found |= measure_looks(settings, size, range(size.teams), date_end)
        add(flat(size.teams, found))


def generate_documents() -> None:
    """Has the tables and the picture of the documentation made of the new figures."""
    subprocess.run([sys.executable, CHECKOUT / "docs" / "generate.py"], check=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes, which say nothing about growth")
    parser.add_argument("--machine", default="", help="what the figures say of the machine")
    options = parser.parse_args(arguments)
    logging.getLogger("web_analytics").setLevel(logging.WARNING)
    settings, now = Settings.load({}), datetime.now(UTC)
    with fresh_server() as (_, _, clickhouse):
        version = ".".join(str(part) for part in clickhouse.server_version)
    figures: dict[str, Any] = {
        "date": now.date().isoformat(),
        "machine": options.machine or f"{os.cpu_count()} cores",
        "clickhouse": version,
        "axes": {axis: [] for axis in growth.AXES},
    }
    output = CHECKOUT / ".bench" / "curve.json"
    output.parent.mkdir(exist_ok=True)
    events, teams = (QUICK_EVENTS, QUICK_TEAMS) if options.quick else (EVENTS, TEAMS)
    for axis, along, sizes in (("events", along_events, events), ("teams", along_teams, teams)):

        def add(point: Cost, axis: str = axis) -> None:
            # At once: the next size may take several times as long.
            figures["axes"][axis].append(point)
            print(f"{datetime.now():%H:%M:%S} {axis}: {point}", flush=True)  # noqa: DTZ005
            output.write_text(json.dumps(figures, indent=2) + "\n")

        along(settings, sizes, now.date(), add)
    print(growth.section(figures))
    output.with_name("growth.svg").write_text(growth.picture(figures))
    if not options.quick:
        growth.FIGURES.write_text(output.read_text())
        generate_documents()
    return 0


if __name__ == "__main__":
    sys.exit(main())
