"""What ``make demo`` does, step by step."""

from __future__ import annotations

import fcntl
import json
import os
import queue
import shutil
import subprocess
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from demo import access_log, coverage, sample_data, ui, verification
from demo.server import RunningServer, server_of
from web_analytics.build import steps
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import ONE_DAY, DateRange, lookback, newest_closed_day
from web_analytics.settings import Settings
from web_analytics.teams.selection import select_teams

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo"
CONN_ID = "clickhouse_default"
BACKFILL = "web_analytics_backfill"
HISTORY_THREADS = 2
MAX_RUNS = 5
MAX_DAYS_BACK = 365
MAX_PARTITIONS = 100


class DemoFailed(RuntimeError):
    """A step did not do what it should; the message is for people."""


@dataclass(frozen=True)
class LastRun:
    """What the last demonstration compared, so that the comparison can be repeated.

    :ivar taken: how many page requests of a log lie on these dates.
    """

    dates: DateRange
    team_ids: tuple[int, ...]
    taken: int | None = None

    def save(self, home: Path) -> None:
        content = {
            "date_start": self.dates.start,
            "date_end": self.dates.end,
            "team_ids": self.team_ids,
            "taken": self.taken,
        }
        (home / "last_run.json").write_text(json.dumps(content, default=str) + "\n")

    @classmethod
    def load(cls, home: Path) -> LastRun:
        try:
            content = json.loads((home / "last_run.json").read_text())
        except FileNotFoundError:
            raise DemoFailed(
                "There is no finished demonstration to compare; run `make demo` first."
            ) from None
        dates = DateRange(date.fromisoformat(content["date_start"]), date.fromisoformat(content["date_end"]))
        return cls(dates, tuple(content["team_ids"]), content["taken"])


def run(log_path: Path | None = None) -> bool:
    """The whole demonstration, on a fresh server.

    :param log_path: an access log to load instead of made-up events.
    :returns: whether the tables hold exactly what the raw events say.
    """
    if log_path is not None:
        access_log.check_readable(log_path)
    settings = Settings.load(environment={})
    with alone(HOME):
        return _run(settings, log_path)


def _run(settings: Settings, log_path: Path | None) -> bool:
    server = prepare(settings, log_path)
    now = datetime.now(UTC)
    with _connect(server) as clickhouse:
        team_ids = tuple(sorted(select_teams(clickhouse, settings).team_ids))
        reach = _reach_of_log(clickhouse, settings, now) if log_path is not None else None
        conf = conf_for_days(list(reach.pageviews), now.date(), settings) if reach is not None else {}
        _show_coverage(clickhouse, settings, team_ids, now, conf, "Before")
        for _ in range(MAX_RUNS):
            decision = backfill(clickhouse, server, conf)
            if not decision["dates_left"]:
                break
        _show_coverage(clickhouse, settings, team_ids, now, conf, "After")
        if reach is not None:
            dates = DateRange(min(reach.pageviews), max(reach.pageviews) + ONE_DAY)
            last_run = LastRun(dates, team_ids, sum(reach.pageviews.values()))
        else:
            dates = DateRange(
                date.fromisoformat(decision["date_start"]), date.fromisoformat(decision["date_end"])
            )
            last_run = LastRun(dates, team_ids)
        last_run.save(HOME)
        return verify(clickhouse, settings, last_run)


def prepare(settings: Settings, log_path: Path | None = None) -> RunningServer:
    """A fresh server with schema, events and, for made-up events, a history with gaps."""
    (HOME / "last_run.json").unlink(missing_ok=True)
    chosen = server_of(HOME)
    with _step(f"starting {chosen.name}"):
        server = chosen.start(fresh=True)
    with _connect(server) as clickhouse:
        with _step("creating PostHog's tables, empty"):
            sample_data.create_source(clickhouse)
        with _step("bin/airflow db migrate"):
            _airflow(server, ["db", "migrate"], HOME / "migrate.log")
            _seed_home_of_bin_airflow()
        with _step("bin/airflow dags test web_analytics_setup"):
            _airflow(server, ["dags", "test", "web_analytics_setup"], HOME / "setup.log")
        if log_path is not None:
            _load_access_log(clickhouse, settings, log_path)
        else:
            load_sample_data(clickhouse, settings)
    return server


def _seed_home_of_bin_airflow() -> None:
    """Gives a first ``bin/airflow dags test`` its metadata database, without migrating a second time."""
    migrated, wanted = HOME / "airflow" / "airflow.db", ROOT / ".airflow" / "airflow.db"
    if migrated.exists() and not wanted.exists():
        wanted.parent.mkdir(exist_ok=True)
        shutil.copyfile(migrated, wanted)


def verify(clickhouse: ClickHouse, settings: Settings, last_run: LastRun) -> bool:
    """Compares the tables with the raw events and prints the outcome."""
    with _step(
        f"comparing both tables with the raw events, {last_run.dates.start} to {last_run.dates.end - ONE_DAY}"
    ):
        truth = verification.modelled(clickhouse, last_run.dates, last_run.team_ids, settings.bucket_minutes)
        stored = verification.stored_rows(clickhouse, last_run.dates)
        paths = verification.different_paths(
            truth.paths, verification.stored_paths(clickhouse, last_run.dates)
        )
        outcome = verification.compare(
            truth.rows, stored, last_run.dates, last_run.team_ids, paths, last_run.taken
        )
    print(
        f"\n{outcome.team_days} (team, day) compared, event by event: pageviews and sessions in both tables, bounces, "
        "duration and the pageviews of each path.\n"
        f"{outcome.left_out} pageviews have no valid session id and are in neither table, by design."
    )
    if outcome.differences:
        print(f"{len(outcome.differences)} numbers are wrong. The first: {outcome.differences[0]}.")
    elif not outcome.pageviews:
        raise DemoFailed("There is nothing to compare: no enabled team has a pageview on these dates.")
    print(outcome, flush=True)
    return outcome.is_exact


def verify_again() -> bool:
    """The comparison of the last demonstration once more."""
    settings = Settings.load(environment={})
    last_run = LastRun.load(HOME)
    with _connect(_running_server()) as clickhouse:
        return verify(clickhouse, settings, last_run)


def show_coverage() -> None:
    """The coverage of the lookback, as it is now."""
    settings = Settings.load(environment={})
    with _connect(_running_server()) as clickhouse:
        team_ids = tuple(select_teams(clickhouse, settings).team_ids)
        _show_coverage(clickhouse, settings, team_ids, datetime.now(UTC), {}, "Now")


def serve(*, fresh: bool = False) -> RunningServer:
    """Leaves a server with data running: the one of the last demonstration, or one with fresh sample data, in which
    there are gaps."""
    server = server_of(HOME)
    if server.has_data and not fresh:
        with _step("starting the embedded ClickHouse on the data of the last demonstration"):
            running = server.start(fresh=False)
    else:
        with alone(HOME):
            running = prepare(Settings.load(environment={}))
    print(f"AIRFLOW_CONN_CLICKHOUSE_DEFAULT={running.connection_uri}", flush=True)
    return running


def show_ui(*, fresh: bool = False) -> None:
    """Airflow with its UI on that server, until it is interrupted."""
    with ui.alone(HOME):
        ui.run(ROOT, serve(fresh=fresh).connection_uri)


def stop() -> None:
    stopped = server_of(HOME).stop()
    print(
        "The embedded ClickHouse is stopped."
        if stopped
        else "No embedded ClickHouse of this checkout is running."
    )


def backfill(clickhouse: ClickHouse, server: RunningServer, conf: Mapping[str, Any]) -> dict[str, Any]:
    """One real run of the DAG in a process of its own.

    :returns: the numbers of its decision.
    """
    arguments = ["dags", "test", BACKFILL, *(["--conf", json.dumps(conf)] if conf else [])]
    with _step("bin/airflow " + " ".join(arguments) + " (log in .demo/backfill.log)"):
        _airflow(server, arguments, HOME / "backfill.log")
    decisions = clickhouse.query("demo/read_last_decision")
    if not decisions:
        raise DemoFailed("The run wrote no decision to web_analytics_backfill_log; see .demo/backfill.log.")
    row = decisions[0]
    details = json.loads(row["details"])
    print(f"\nThe run decided: {row['status']}. Why: {row['reason']}.")
    print(
        f"Dates, newest first: {', '.join(details['dates']) or 'none'}; left to the next run: {details['dates_left']}."
    )
    return details


def conf_for_days(days: Sequence[date], today: date, settings: Settings) -> dict[str, int]:
    """The run's conf where its defaults would not build all of these missing days."""
    conf = {}
    if (age := (today - min(days)).days) > settings.lookback_days:
        conf["days_back"] = min(age, MAX_DAYS_BACK)
    if len(days) > settings.max_partitions_per_run:
        conf["max_partitions"] = min(len(days), MAX_PARTITIONS)
    if 2 * len(days) < settings.min_missing_partitions:
        conf["min_missing_partitions"] = 2 * len(days)
    return conf


def load_sample_data(clickhouse: ClickHouse, settings: Settings) -> None:
    """Events, a history that is built for most of them, and holes in it."""
    now = datetime.now(UTC)
    today, newest_closed = now.date(), newest_closed_day(now, settings.settling)
    with _step(
        f"generating {sample_data.EVENTS:,} events of {sample_data.DAYS} days up to {today - ONE_DAY}"
    ):
        sample_data.load(clickhouse, today)
    gaps = sample_data.planned_gaps(today, newest_closed, settings.lookback_days)
    plan = _plan_history(clickhouse, settings, today, newest_closed, gaps)
    with _step(f"building a history of {len(plan)} days"):
        _build_history(settings, plan)
    with _step(f"punching holes into it; gaps are now on {len(gaps)} dates"):
        for gap in gaps:
            sample_data.punch(clickhouse, gap)


def _plan_history(
    clickhouse: ClickHouse,
    settings: Settings,
    today: date,
    newest_closed: date,
    gaps: Sequence[sample_data.Gap],
) -> dict[date, list[int]]:
    """The teams that each closed day of the lookback is built for in advance."""
    team_ids = select_teams(clickhouse, settings).team_ids
    gap_on = {gap.day: gap for gap in gaps}
    plan = {
        day: sample_data.teams_to_build(clickhouse, gap_on[day], team_ids)
        if day in gap_on
        else sorted(team_ids)
        for day in lookback(today, settings.lookback_days)
        if day <= newest_closed
    }
    return {day: teams for day, teams in plan.items() if teams}


def _build_history(settings: Settings, plan: Mapping[date, Sequence[int]]) -> None:
    """Two days at a time: dates do not depend on one another, and each has a lock of its own."""
    connections: queue.SimpleQueue[ClickHouse] = queue.SimpleQueue()

    def build_day(day: date) -> None:
        clickhouse = connections.get()
        try:
            steps.build_partition(clickhouse, settings, day, plan[day], run_id="demo_history")
        finally:
            connections.put(clickhouse)

    with ExitStack() as opened, ThreadPoolExecutor(HISTORY_THREADS) as threads:
        for _ in range(HISTORY_THREADS):
            connections.put(opened.enter_context(ClickHouse(CONN_ID, origin=f"demo-{uuid.uuid4().hex[:8]}")))
        list(threads.map(build_day, plan))


def _load_access_log(clickhouse: ClickHouse, settings: Settings, log_path: Path) -> None:
    newest_closed = newest_closed_day(datetime.now(UTC), settings.settling)
    with _step(f"loading the access log {log_path}"):
        summary = access_log.load(clickhouse, log_path, newest_closed)
        clickhouse.run(
            "demo/enable_team",
            {"team_id": access_log.TEAM_ID, "backfill_days": settings.backfill_days},
        )
    print(
        f"  lines: {summary.lines} read = {summary.taken} page requests taken + {summary.ignored} ignored "
        f"+ {summary.malformed} malformed\n"
        f"  days: {summary.first_day} to {summary.last_day}, shifted by {summary.shift_days} days to end on "
        f"{newest_closed}"
    )


def _reach_of_log(clickhouse: ClickHouse, settings: Settings, now: datetime) -> access_log.Reach:
    """What a run can build of the log; says what it cannot, and why."""
    rows = clickhouse.query(
        "demo/count_access_log_days",
        {"team_id": access_log.TEAM_ID},
    )
    reach = access_log.within_reach(
        {row["day"]: row["pageviews"] for row in rows},
        now.date(),
        MAX_DAYS_BACK,
        settings.partitions_start_date,
    )
    for sentence in reach.not_built:
        print(f"  {sentence}")
    if not reach.pageviews:
        raise DemoFailed("No page request of the log lies on a day that a run can build.")
    return reach


def _show_coverage(
    clickhouse: ClickHouse,
    settings: Settings,
    team_ids: Sequence[int],
    now: datetime,
    conf: Mapping[str, Any],
    title: str,
) -> None:
    """Prints the coverage as of an instant, so that a day that closes meanwhile is not in one table only."""
    days = lookback(now.date(), conf.get("days_back", settings.lookback_days))
    covered = coverage.cover(
        days,
        newest_closed_day(now, settings.settling),
        verification.expected_rows(clickhouse, days, team_ids, settings.bucket_minutes),
        verification.stored_rows(clickhouse, days, team_ids),
    )
    print(f"\n{title}:\n{coverage.describe(covered)}\n", flush=True)


def _running_server() -> RunningServer:
    running = server_of(HOME).find()
    if running is None:
        raise DemoFailed(
            "The demonstration's ClickHouse is not running; `python -m demo serve` starts it again."
        )
    return running


def _connect(server: RunningServer) -> ClickHouse:
    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
    return ClickHouse(CONN_ID, origin=f"demo-{uuid.uuid4().hex[:8]}")


def _airflow(server: RunningServer, arguments: Sequence[str], log_file: Path) -> None:
    """Runs bin/airflow on the demonstration's server, whatever settings the caller's environment holds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WEB_ANALYTICS_")}
    environment["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
    with open(log_file, "wb") as output:
        status = subprocess.run(
            [ROOT / "bin" / "airflow", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status:
        tail = "\n".join(log_file.read_text(errors="replace").splitlines()[-25:])
        raise DemoFailed(
            f"bin/airflow {' '.join(arguments)} ended with status {status}. The end of "
            f"{log_file.relative_to(ROOT)}:\n{tail}"
        )


@contextmanager
def alone(home: Path) -> Generator[None, None, None]:
    """Keeps two demonstrations of one checkout apart: the second would stop the first one's server.

    :raises DemoFailed: another one is at work.
    """
    home.mkdir(parents=True, exist_ok=True)
    with open(home / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed("Another demonstration is at work in this checkout; wait for its end.") from None
        yield


@contextmanager
def _step(what: str) -> Generator[None, None, None]:
    started = time.monotonic()
    print(f"- {what} ... ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{timedelta(seconds=time.monotonic() - started).total_seconds():.1f} s", flush=True)
