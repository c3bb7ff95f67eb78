"""One trial: a fixture, a run of the DAG under faults, recovery, and the comparison with raw events."""

from __future__ import annotations

import contextlib
import random
import signal
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from clickhouse_driver.errors import Error as DriverError

from tests.chaos import faults, fixture, runs, scheduler
from tests.chaos.servers import SERVERS, STALL_SECONDS, ProxyProcess, airflow_connection

ALL_KINDS = ["missing", "inconsistent", "stale", "orphan"]
FURTHER_RUNS = 3
RUN_SECONDS = 240
TRIAL_SECONDS, SCHEDULER_TRIAL_SECONDS = 480, 1200
LONG_TTL, SHORT_TTL = 120 * 60, 3


@dataclass
class Result:
    """What came of a trial.

    :ivar lost: pageviews short of the oracle after recovery; :ivar duplicated: in excess of it. Where only
        another measure of a (team, day, table) differs, that counts as one.
    :ivar leftovers: tables, locks, queries and gaps that are still there.
    """

    number: int
    kinds: list[str]
    struck: list[str] = field(default_factory=list)
    runs: int = 0
    states: list[str] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    leftovers: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    attempts: dict[str, int] = field(default_factory=dict)

    @property
    def recovered(self) -> bool:
        return not (self.error or self.lost or self.duplicated or self.leftovers)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class TrialTimeout(BaseException):
    """The trial as a whole took too long; not an Exception, so that nothing on the way swallows it."""


class Worker:
    """Runs trials one after the other with its own ClickHouse, proxy, Airflow home and forks.

    :param server: which ClickHouse, of tests/chaos/servers.py.
    :param experiment: what to remove from the product, see tests/chaos/experiments.py.
    :param transient_share: the share of queries that fail transiently, instead of other faults.
    """

    def __init__(
        self,
        checkout: Path,
        home: Path,
        seed: int,
        server: str = "embedded",
        experiment=None,
        transient_share: float = 0.0,
    ):
        self.checkout, self.home, self.seed = checkout, home, seed
        self.experiment, self.transient_share = experiment, transient_share
        self.settings = None
        self.clickhouse = SERVERS[server](home)
        self.undisturbed_seconds = 0.0

    def __enter__(self) -> Worker:
        from web_analytics.clickhouse.connection import HEAVY_DEFAULTS
        from web_analytics.settings import Settings

        # Here and in the runs, which are forked from this process: on a busy machine a statement that yields to everybody
        # is silent for longer than connections wait.
        HEAVY_DEFAULTS.pop("os_thread_priority", None)
        self.settings = Settings.load({})
        self.clickhouse.start()
        self.clickhouse.forget()
        self.proxy = ProxyProcess(self.clickhouse.entry)
        with self._database("warm_up") as database:
            world = self._create_fixture(database, random.Random(self.seed))
            connection = self.airflow_connection(database)
            runs.prepare(self.checkout, connection, world.conf)
            again = runs.Run(
                self.checkout,
                "warm_up",
                {**world.conf, "rebuild": True},
                connection,
                self.home / "warm_up.log",
                ttl_seconds=LONG_TTL,
            )
            started = time.monotonic()
            again.start().wait(RUN_SECONDS)
            self.undisturbed_seconds = time.monotonic() - started
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.stop()
        self.clickhouse.stop()

    def trial(self, number: int, kind: str) -> Result:
        """Never raises but for an interrupt: whatever goes wrong is in the result."""
        rng = random.Random(f"{self.seed}:{number}")
        scenario = faults.draw(rng, kind, self.undisturbed_seconds, self.clickhouse.kinds)
        seconds = SCHEDULER_TRIAL_SECONDS if kind == faults.SCHEDULER_KIND else TRIAL_SECONDS
        if self.experiment:
            scenario = self.experiment.scenario(rng)
        if self.transient_share:
            scenario = faults.Scenario(kinds=["transient"])
        result = Result(number, scenario.kinds)
        started = time.monotonic()
        signal.signal(signal.SIGALRM, _raise_timeout)
        signal.alarm(seconds)
        trial = Trial(self, rng, scenario, result)
        try:
            trial.run()
        except TrialTimeout:
            result.error = f"the trial did not end within {seconds} s"
        except Exception as error:
            result.error = f"{type(error).__name__}: {error}"[:500]
        finally:
            signal.alarm(60)
            trial.clean_up()
            signal.alarm(0)
        result.seconds = round(time.monotonic() - started, 1)
        return result

    @contextlib.contextmanager
    def _database(self, name: str):
        admin = self.clickhouse.admin()
        admin.execute(f"CREATE DATABASE {name}")
        admin.disconnect()
        try:
            yield name
        finally:
            admin = self.clickhouse.admin()
            admin.execute(f"DROP DATABASE IF EXISTS {name} SYNC")
            admin.disconnect()

    def airflow_connection(self, database: str) -> dict[str, Any]:
        return airflow_connection(self.clickhouse, self.proxy.port, database)

    def _create_fixture(self, database: str, rng: random.Random, **options: Any) -> fixture.Fixture:
        with self.connect(database) as clickhouse:
            login = (self.clickhouse.user, self.clickhouse.password)
            return fixture.create(clickhouse, self.settings, rng, login=login, **options)

    @contextlib.contextmanager
    def connect(self, database: str):
        """The package's connection, past the proxy."""
        from web_analytics.clickhouse.connection import ClickHouse

        with ClickHouse("chaos", origin="suite") as clickhouse:
            clickhouse._connect = lambda: self.clickhouse.admin(database)
            yield clickhouse


def _raise_timeout(*_: object) -> None:
    raise TrialTimeout


class Trial:
    def __init__(self, worker: Worker, rng: random.Random, scenario: faults.Scenario, result: Result):
        self.worker, self.rng, self.scenario, self.result = worker, rng, scenario, result
        self.clickhouse, self.proxy = worker.clickhouse, worker.proxy
        self.log = worker.home / f"trial_{result.number}.log"
        self.database = f"trial_{result.number}"
        self.started: list[runs.Run] = []
        self._databases = contextlib.ExitStack()

    def run(self) -> None:
        self.clickhouse.forget()
        self._databases.enter_context(self.worker._database(self.database))
        options = self.worker.experiment.fixture if self.worker.experiment else {}
        self.world = self.worker._create_fixture(self.database, self.rng, **options)
        if self.result.kinds == [faults.SCHEDULER_KIND]:
            self._under_a_scheduler()
        else:
            self._under_fire(self._first_runs())
        self._note_faults()
        for further in range(FURTHER_RUNS + 1):
            self._judge()
            if self.result.recovered or further == FURTHER_RUNS:
                break
            run = self._new_run({"kinds": ALL_KINDS})
            if self.worker.transient_share:
                self._plan([run])
            self._finish(run)

    def clean_up(self) -> None:
        for run in self.started:
            if run.child:
                with contextlib.suppress(ChildProcessError, ProcessLookupError):
                    run.child.kill()
                    run.child.wait(10)
        self.clickhouse.plan()
        if self.clickhouse.has_ended():
            self.clickhouse.start()
        with contextlib.suppress(DriverError, OSError, EOFError):
            self._databases.close()
        if self.result.recovered:
            self.log.unlink(missing_ok=True)

    def _first_runs(self) -> list[runs.Run]:
        if not self.scenario.two_runs:
            choices = [{"kinds": ALL_KINDS}, {"kinds": ALL_KINDS}, {}, {"rebuild": True}]
            return [self._new_run(self.rng.choice(choices))]
        teams = list(self.world.teams)
        self.rng.shuffle(teams)
        overlap = self.rng.choice([0, 0, 2])
        split = len(teams) // 2
        return [
            self._new_run({"kinds": ALL_KINDS, "team_ids": teams[: split + overlap]}),
            self._new_run({"kinds": ALL_KINDS, "team_ids": teams[split:]}),
        ]

    def _new_run(self, conf: dict[str, Any]) -> runs.Run:
        number = len(self.started) + 1
        run = runs.Run(
            checkout=self.worker.checkout,
            run_id=f"trial_{self.result.number}_{number}",
            conf={**self.world.conf, **conf},
            connection=self.worker.airflow_connection(self.database),
            log=self.log,
            ttl_seconds=SHORT_TTL if self.scenario.recovery == "forget" and self.started else LONG_TTL,
            patch=self.worker.experiment.patch if self.worker.experiment else None,
        )
        self.started.append(run)
        return run

    def _plan(self, under_fire: list[runs.Run]) -> None:
        self.clickhouse.plan(
            faults=self.scenario.server_faults,
            clients=[under_fire[0].child.pid] if under_fire[0].child else [],
            transient_share=self.worker.transient_share,
            seed=f"{self.worker.seed}:{self.result.number}:{len(self.started)}",
            rewrites=self.worker.experiment.rewrites if self.worker.experiment else [],
        )

    def _under_fire(self, under_fire: list[runs.Run]) -> None:
        """Runs the first runs to their end while the faults strike."""
        self._plan(under_fire)
        for run in under_fire:
            run.start()
        self._plan(under_fire)  # now with the process to be killed
        begun = time.monotonic()
        orders = sorted(self.scenario.orders)
        deadline = begun + RUN_SECONDS
        down_since = None
        open_runs = list(under_fire)
        while open_runs:
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError(f"the runs under fire did not end within {RUN_SECONDS} s")
            while orders and now - begun >= orders[0][0]:
                self._obey(orders.pop(0)[1], under_fire[0])
            if self.clickhouse.has_ended():
                down_since = down_since or now
                if now - down_since >= self.scenario.restart_delay:
                    self.clickhouse.start()
                    down_since = None
            for run in list(open_runs):
                status = run.child.poll()
                if status is None:
                    continue
                if status == -signal.SIGKILL and run.processes < 4 and self._take_care_of(run):
                    self._plan(under_fire)
                    continue
                open_runs.remove(run)
                self.result.states.append("killed" if status < 0 else runs.state_of(run.run_id))
            time.sleep(0.005)
        if self.clickhouse.has_ended():
            self.clickhouse.start()

    def _under_a_scheduler(self) -> None:
        run = self._new_run({"kinds": ALL_KINDS})
        with scheduler.LiveAirflow(self.worker.checkout, run.connection, self.log) as airflow:
            killed = scheduler.run_under_fire(airflow, self.worker.checkout, self.rng, run.run_id, run.conf)
        self.result.struck += [killed] if killed else []
        self.result.states.append(runs.state_of(run.run_id))

    def _obey(self, order: str, run: runs.Run) -> None:
        if order == "kill_task":
            if run.child.poll() is None:
                run.child.kill()
                self.result.struck.append(order)
        elif order == "kill_clickhouse":
            if not self.clickhouse.has_ended():
                self.clickhouse.kill()
                self.result.struck.append(order)
        elif run.child.poll() is None:
            self.proxy.order(order.format(stall_seconds=STALL_SECONDS))
            self.result.struck.append(order.split()[0])

    def _take_care_of(self, run: runs.Run) -> bool:
        """What becomes of a run whose process was killed: whether it goes on in a new one."""
        if self.scenario.recovery == "retry":
            runs.lose_process(run.run_id)
            run.start()
            return True
        (runs.mark_failed if self.scenario.recovery == "mark_failed" else runs.forget)(run.run_id)
        return False

    def _finish(self, run: runs.Run) -> None:
        run.start().wait(RUN_SECONDS)
        self.result.states.append(runs.state_of(run.run_id))

    def _note_faults(self) -> None:
        self.result.struck += [
            f"{row['action']} at {row['statement']}"
            for row in self.clickhouse.struck()
            if row["id"] != "transient"
        ]
        if not self.worker.transient_share:
            self.clickhouse.plan(rewrites=self.worker.experiment.rewrites if self.worker.experiment else [])

    def _judge(self) -> None:
        """Compares everything with the raw events, and looks for what was left behind."""
        from tests.support import differences_from_oracle, leftovers
        from web_analytics.detection import detector
        from web_analytics.rules.partitions import ONE_DAY, DateRange
        from web_analytics.teams.selection import select_teams

        result, world = self.result, self.world
        result.runs = len(self.started)
        result.lost = result.duplicated = 0
        with self.worker.connect(self.database) as clickhouse:
            differences = differences_from_oracle(clickhouse, list(world.days), [*world.teams, *world.others])
            left = leftovers(clickhouse)
            left += self._orphaned_queries(clickhouse)
            scope = detector.DetectionScope(
                DateRange(min(world.days), max(world.days) + ONE_DAY), tuple(ALL_KINDS), False
            )
            teams = select_teams(clickhouse, self.worker.settings).team_ids
            gaps = detector.count_gaps(clickhouse, self.worker.settings, scope, teams)
            left += [f"gap {gap.partition_date} {gap.table_name} {gap.state}" for gap in gaps]
            result.attempts = dict(
                clickhouse.client.execute(
                    "SELECT status, count() FROM web_analytics_backfill_log WHERE kind = 'attempt' "
                    "AND run_id != 'before_chaos' GROUP BY status"
                )
            )
        with_pageviews = {each[:3] for each in differences if each[3] == "pageviews"}
        for each in differences:
            short = each[4] - each[5]
            if each[3] != "pageviews":
                short = 0 if each[:3] in with_pageviews else (1 if short > 0 else -1)
            result.lost += max(short, 0)
            result.duplicated += max(-short, 0)
        result.differences = [" ".join(map(str, each)) for each in differences]
        result.leftovers = left

    def _orphaned_queries(self, clickhouse) -> list[str]:
        """Queries of the runs that go on although nobody waits for them."""
        deadline = time.monotonic() + 5
        while True:
            rows = clickhouse.client.execute(
                "SELECT query_id FROM system.processes WHERE startsWith(query_id, 'web_analytics_')"
            )
            if not rows or time.monotonic() > deadline:
                return [f"query {query_id}" for (query_id,) in rows]
            time.sleep(0.1)
