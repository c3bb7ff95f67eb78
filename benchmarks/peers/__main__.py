"""Seven missing days from the same events: this package, dbt-clickhouse and SQLMesh, each in its usual form.

All on ClickHouse's own listener, one after the other in databases of their own. dbt and SQLMesh run the statements of
the earlier systems. Each fills the days, does the same once more, is killed in the middle of a third run on missing days
and run again; then events of one of the days arrive late, and what its schedule does each night is done; at last a peer
is told which day that was. After each step the team-days are counted whose every number is what the raw events say. Asks the package index (and npm, for the
listener) the first time. Writes .bench/peers.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.insert(0, str(CHECKOUT / "plugins"))

# After the lines above: what follows reads them when it is imported.
from benchmarks.live_airflow import LiveAirflow, wait_for  # noqa: E402
from benchmarks.peers import tools  # noqa: E402
from benchmarks.usage import process_usage  # noqa: E402
from demo import sample_data  # noqa: E402
from tests.servers.fetch import library  # noqa: E402
from tests.servers.listener import Listener  # noqa: E402
from tests.support import differences_from_oracle  # noqa: E402
from web_analytics import schema  # noqa: E402
from web_analytics.clickhouse.connection import ClickHouse  # noqa: E402
from web_analytics.rules.partitions import ONE_DAY, newest_closed_day, partition_id  # noqa: E402
from web_analytics.settings import Settings  # noqa: E402
from web_analytics.tables import TABLES  # noqa: E402
from web_analytics.teams.selection import select_teams  # noqa: E402

EVENTS, DAYS = 1_000_000, 7
LONGEST_SECONDS = 900
# Killed when the target has so many of the missing days.
KILLED_AFTER_DAYS = 3
TARGET, PAGEVIEWS = "web_pre_aggregated_stats", "stats.pageviews"
BACKFILL = "web_analytics_backfill"


class World:
    """A database with the events, the teams and the empty targets."""

    def __init__(self, server: Listener, name: str, today: date, events: int):
        self.server, self.name = server, name
        with ClickHouse("clickhouse_default") as clickhouse:
            clickhouse.client.execute(f"CREATE DATABASE {name} ENGINE = Atomic")
        os.environ["AIRFLOW_CONN_PEER"] = server.uri(name)
        self.clickhouse = ClickHouse("peer")
        settings = Settings.load({})
        newest = newest_closed_day(datetime.now(UTC), settings.settling)
        self.days = tuple(newest - timedelta(days=offset) for offset in range(DAYS))
        sample_data.create_source(self.clickhouse)
        schema.create_tables(self.clickhouse)
        schema.create_teams_dictionary(self.clickhouse)
        schema.create_source_view(self.clickhouse, settings)
        # Without events that came twice, which the earlier systems' statements count twice.
        sessions = max(1, round(events / sample_data.EVENTS_PER_SESSION))
        parameters = {
            "seed": sample_data.SEED,
            "sessions": sessions,
            "days": sample_data.DAYS,
            "date_end": today,
        }
        for statement in ("events", "person_overrides"):
            self.clickhouse.run(f"demo/{statement}", parameters)
        self.clickhouse.run("demo/teams", {"backfill_days": DAYS})
        self.teams = sorted(select_teams(self.clickhouse, settings).team_ids)

    def drop_targets(self) -> None:
        self.clickhouse.run("build/drop_tables", names={"tables": [table.name for table in TABLES]})

    def lose_days(self) -> None:
        for table in TABLES:
            for day in self.days:
                self.clickhouse.run(
                    "demo/drop_partition", {"partition_id": partition_id(day)}, {"target": table.name}
                )

    def days_there(self, like: str = TARGET) -> int:
        return self.clickhouse.query("benchmarks/days_in_target", {"like": like})[0]["days"]

    def tables(self) -> list[dict[str, Any]]:
        return self.clickhouse.query("benchmarks/list_tables")

    def causes(self, team_days: set[tuple[int, date]]) -> dict[str, int]:
        """Of how many of these team-days the statements of the earlier systems can misplace pageviews, and why."""
        between = {"date_start": self.days[-1], "date_end": self.days[0] + ONE_DAY}
        found = {
            (row["team_id"], row["day"]): (bool(row["over_midnight"]), bool(row["without_session"]))
            for row in self.clickhouse.query("benchmarks/misplaced_days", between)
        }
        names = {
            (True, False): "session over midnight",
            (False, True): "events without session",
            (True, True): "both",
            (False, False): "neither",
        }
        counted = Counter(names[found.get(each, (False, False))] for each in team_days)
        return {name: counted[name] for name in names.values()}

    def wrong(self) -> dict[tuple[int, date], dict[str, tuple[int, int]]]:
        """What a team's day should hold and holds, of the measures that are not what the raw events say."""
        found: dict[tuple[int, date], dict[str, tuple[int, int]]] = {}
        for team, day, table, measure, wanted, stored in differences_from_oracle(
            self.clickhouse, list(self.days), self.teams
        ):
            found.setdefault((team, day), {})[f"{table}.{measure}"] = wanted, stored
        return found

    def exact(self) -> dict[str, Any]:
        """How many team-days are exact, in all numbers and in pageviews alone, and what is wrong with the others."""
        asked = {(team, day) for team in self.teams for day in self.days}
        every, tables = len(asked), self.tables()
        if sum(table["is_target"] for table in tables) < len(TABLES):
            return {"exact": 0, "exact_pageviews": 0, "team_days": every, "targets": "not there"}
        wrong = self.wrong()
        pageviews = [each for each in wrong.values() if any(name.endswith(".pageviews") for name in each)]
        off = [stored - wanted for each in wrong.values() for wanted, stored in [each.get(PAGEVIEWS, (0, 0))]]
        return {
            "exact": every - len(wrong),
            "exact_pageviews": every - len(pageviews),
            "team_days": every,
            "causes_of_wrong": self.causes(set(wrong)),
            "causes_in_exact": self.causes(asked - wrong.keys()),
            "pageviews_lost": -sum(each for each in off if each < 0),
            "pageviews_too_many": sum(each for each in off if each > 0),
            "wrong_by_day": {str(day): sum(1 for _, other in wrong if other == day) for day in self.days},
            "days_with_rows": self.days_there(),
            "tables": [table["name"] for table in tables],
        }

    @contextmanager
    def cost(self, into: dict[str, float]) -> Generator[None]:
        """Seconds of the clock, and CPU seconds of ClickHouse: of its statements, and of the whole process."""
        since, started = _now(), time.monotonic()
        before = process_usage(self.server.pid)[0]
        yield
        into["wall_s"] = round(time.monotonic() - started, 1)
        into["process_cpu_s"] = round(process_usage(self.server.pid)[0] - before, 2)
        between = {"since": since, "until": _now()}
        self.clickhouse.run("benchmarks/flush_logs")
        spent = self.clickhouse.query("benchmarks/cpu_since", between)[0]
        into["statements_cpu_s"], into["statements"] = round(spent["cpu_s"], 2), spent["statements"]

    @property
    def late_day(self) -> date:
        return self.days[4]

    def late_events(self) -> None:
        self.clickhouse.run("benchmarks/late_events", {"day": self.late_day, "now": datetime.now(UTC)})


Results = dict[str, dict[str, Any]]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def measure_peer(kind: type[tools.Peer], name: str, world: Callable[[str], World], folder: Path) -> Results:
    """A peer in a database for the runs to the end, and in one for the run that is killed."""
    results: Results = {
        "filled": {},
        "again": {},
        "killed": {},
        "after late events": {},
        "told the late day": {},
    }
    calm, killed = (_peer(kind, world(f"{name}_{what}"), folder) for what in ("calm", "killed"))

    with calm[0].cost(results["filled"]):
        _run(calm[1])
    results["filled"] |= calm[0].exact()
    with calm[0].cost(results["again"]):
        _run(calm[1])
    results["again"] |= calm[0].exact()

    process = killed[1].start()
    wait_for(
        lambda: process.poll() is not None or killed[0].days_there(kind.fills) >= KILLED_AFTER_DAYS,
        LONGEST_SECONDS,
        "its first days",
        0.02,
    )
    results["killed"]["was running"] = process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    results["killed"]["exact before the second run"] = killed[0].exact()["exact"]
    with killed[0].cost(results["killed"]):
        _run(killed[1])
    results["killed"] |= killed[0].exact()

    calm[0].late_events()
    with calm[0].cost(results["after late events"]):
        _run(calm[1], calm[1].usual_run())
    results["after late events"] |= calm[0].exact()
    with calm[0].cost(results["told the late day"]):
        _run(calm[1], calm[1].build(calm[0].late_day, calm[0].late_day))
    results["told the late day"] |= calm[0].exact()
    return results


def _peer(kind: type[tools.Peer], world: World, folder: Path) -> tuple[World, tools.Peer]:
    if kind is not tools.Dbt:
        # SQLMesh has views of tables of its own, and partitions are only replaced between tables that dbt has made.
        world.drop_targets()
    peer = kind(world.name, world.name, folder / world.name, world.server.http_port, world.days)
    peer.prepare()
    if command := peer.setup():
        _run(peer, command)
    return world, peer


def _run(peer: tools.Peer, command: list[str] | None = None) -> None:
    process = peer.start(command)
    if process.wait(LONGEST_SECONDS):
        raise RuntimeError(f"{peer.name} failed: {(peer.folder / 'output.txt').read_text()[-3000:]}")


def measure_ours(world: World, folder: Path) -> Results:
    """Runs of web_analytics_backfill under a scheduler. It is killed with the tasks that it runs, and started again."""
    results: Results = {"filled": {}, "again": {}, "killed": {}, "after late events": {}}
    range_ = {"date_start": str(world.days[-1]), "date_end": str(world.days[0] + ONE_DAY)}
    every = {**range_, "min_missing_partitions": 1, "max_partitions": DAYS}
    # How soon a scheduler knows that tasks and the scheduler before it are dead; Airflow waits 300 s unless told.
    environment = {
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    }
    folder.mkdir()
    with LiveAirflow(folder, world.server.uri(world.name), environment) as airflow:
        wait_for(lambda: airflow.is_known(BACKFILL), LONGEST_SECONDS, "the DAG")
        airflow.call("PATCH", "/api/v2/dags/web_analytics_team_backfill", {"is_paused": True})
        airflow.unpause(BACKFILL)

        def run(conf: dict[str, Any]) -> str:
            path = airflow.trigger(BACKFILL, conf)
            if airflow.finish(path, LONGEST_SECONDS) != "success":
                raise RuntimeError(f"{path} failed")
            return path

        for step in ("filled", "again"):
            with world.cost(results[step]):
                run(every)
            results[step] |= world.exact()

        world.lose_days()
        path = airflow.trigger(BACKFILL, every)
        wait_for(lambda: world.days_there() >= KILLED_AFTER_DAYS, LONGEST_SECONDS, "the first days", 0.02)
        airflow.kill("scheduler")
        results["killed"]["was running"] = airflow.call("GET", path)["state"] == "running"
        results["killed"]["exact before the second run"] = world.exact()["exact"]
        with world.cost(results["killed"]):
            airflow.start("scheduler")
            if airflow.finish(path, LONGEST_SECONDS) != "success":
                raise RuntimeError(f"{path} failed")
        results["killed"] |= world.exact()

        world.late_events()
        with world.cost(results["after late events"]):
            # As at 02:00, which acts on every kind.
            run({**range_, "kinds": ["missing", "inconsistent", "stale", "orphan"]})
        results["after late events"] |= world.exact()
    return results


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--only", choices=("ours", *PEERS), action="append")
    options = parser.parse_args(arguments)
    # Also when it is terminated it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.getLogger("web_analytics").setLevel(logging.WARNING)
    today = datetime.now(UTC).date()
    output = CHECKOUT / ".bench" / "peers.json"
    output.parent.mkdir(exist_ok=True)
    results: dict[str, Any] = {}
    with (
        tempfile.TemporaryDirectory(prefix="peers-") as name,
        Listener(Path(name) / "clickhouse", library()) as server,
    ):
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.uri("default")

        def world(database: str) -> World:
            return World(server, database, today, options.events)

        for candidate in options.only or ("ours", *PEERS):
            if candidate == "ours":
                results[candidate] = measure_ours(world("ours"), Path(name) / "airflow")
            else:
                tool, kind = PEERS[candidate]
                tools.install(tool)
                try:
                    results[candidate] = measure_peer(kind, candidate, world, Path(name))
                except (RuntimeError, TimeoutError) as failed:
                    # The others are worth measuring: what failed is told.
                    results[candidate] = {"failed": str(failed)}
            print(candidate, json.dumps(results[candidate], indent=1), flush=True)
            output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


PEERS = {
    "dbt_microbatch": ("dbt", tools.Dbt),
    "dbt_insert_overwrite": ("dbt", tools.DbtInsertOverwrite),
    "sqlmesh": ("sqlmesh", tools.SqlMesh),
}

if __name__ == "__main__":
    sys.exit(main())
