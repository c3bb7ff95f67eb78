"""Who acts on a date, by the package's own functions, step by step as the DAGs call them. When a step is called in
another way, this is the module to change."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from clickhouse_driver import Client

from tests.interleavings.door import Doorkeeper, WatchedClickHouse
from tests.interleavings.world import APPROVED_TEAM, World
from web_analytics import validation
from web_analytics.build import cleanup, locks, steps
from web_analytics.build.cleanup import CleanupFailed
from web_analytics.build.locks import LockHeld, Owner, RunActivity
from web_analytics.clickhouse import profile
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES
from web_analytics.teams import registry
from web_analytics.teams.registry import Registration
from web_analytics.teams.selection import select_teams

NO_PAUSES = (0.0, 0.0, 0.0)


class Waits(Exception):
    """The task gives its slot back and looks again later."""


@dataclass
class Run(ABC):
    """One DAG run on the date of a world: what its steps handed on, and how its tries ended.

    :ivar settings: those of its worker.
    :ivar activity: what it is told of other runs, by their run ids.
    :ivar errors: (step, try, error), also of tries that were repeated.
    """

    world: World
    run_id: str
    activity: dict[str, RunActivity]
    settings: Settings
    handed_on: dict[str, Any] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    errors: list[tuple[str, int, BaseException]] = field(default_factory=list)

    dag_id = "web_analytics_backfill"
    steps = ()

    @property
    def deployment(self) -> str:
        """Of each database its own: the worlds of one server have runs of the same ids."""
        return self.world.connection["database"]

    def after_failure(self, step: str) -> tuple[str, ...]:
        """The steps that are done although this one has failed for good."""
        return ()

    def task(self, step: str, try_number: int) -> TaskIdentity:
        return TaskIdentity(self.dag_id, self.run_id, f"build_date.{step}", 0, try_number, self.deployment)

    def activity_of(self, owner: Owner) -> RunActivity:
        return self.activity.get(owner.run_id, RunActivity.UNKNOWN)

    @contextmanager
    def _open(self, task: TaskIdentity, doorkeeper: Doorkeeper) -> Generator[WatchedClickHouse, None, None]:
        """As tasks.runtime.open_clickhouse, without a running task."""
        clickhouse = WatchedClickHouse("", origin=task.origin, pauses=NO_PAUSES)
        clickhouse.doorkeeper = doorkeeper
        clickhouse._connect = functools.partial(Client, **self.world.connection)
        try:
            if task.try_number > 1:
                clickhouse.query(
                    "clickhouse/kill_queries_of_earlier_tries",
                    {"task_prefix": task.task_origin, "try_prefix": f"{task.origin}:"},
                )
            yield clickhouse
        finally:
            clickhouse.close()

    def attempt(self, step: str, doorkeeper: Doorkeeper | None = None) -> BaseException | None:
        """The next try of a step.

        :returns: its error, or None.
        :raises Waits: another run is at work on the date; Airflow would look again later.
        :raises Killed: its doorkeeper let it die.
        """
        doorkeeper = doorkeeper or Doorkeeper()
        number = self.tries[step] = self.tries.get(step, 0) + 1
        task = self.task(step, number)
        try:
            with self._open(task, doorkeeper) as clickhouse:
                handed_on = self._do(step, clickhouse, task)
        except (LockHeld, Waits) as held:
            self.tries[step] -= 1  # a rescheduled task goes on with the same try
            raise Waits from held
        except Exception as error:
            self.errors.append((step, number, error))
            return error
        # Of two tries Airflow takes what the newest has handed on; a zombie's word does not count.
        if number == self.tries[step]:
            self.handed_on[step] = handed_on
        return None

    def give_up(self, step: str) -> None:  # noqa: B027  # Most runs do nothing.
        """What the last try of a step does when it has failed."""

    @abstractmethod
    def _do(self, step: str, clickhouse: WatchedClickHouse, task: TaskIdentity) -> Any:
        """What one try of the step does; gives what the step hands on."""


@dataclass
class Build(Run):
    """A run of web_analytics_backfill that builds the date.

    :ivar planned: the teams of its plan.
    :ivar validates: whether it has the step that compares what was built with the raw events.
    """

    planned: tuple[int, ...] = ()
    validates: bool = True

    steps = (
        "stage",
        *(f"insert_{table.short_name}" for table in BUILT_TABLES),
        "publish",
        "validate",
        "release",
        "sweep",
    )

    def after_failure(self, step: str) -> tuple[str, ...]:
        return ("sweep",) if step in ("stage", "release") else ("release", "sweep")

    def __post_init__(self) -> None:
        if not self.validates:
            self.steps = tuple(step for step in self.steps if step != "validate")

    def give_up(self, step: str) -> None:
        if step == "stage":
            task = self.task(step, self.tries[step])
            with self._open(task, Doorkeeper()) as clickhouse:
                steps.release_if_owned(clickhouse, task, self.world.day)

    def _do(self, step, clickhouse, task):
        world, settings = self.world, self.settings
        if step == "stage":
            selected = select_teams(clickhouse, settings).team_ids
            teams = selected.intersection(self.planned)
            return steps.stage(clickhouse, settings, task, world.day, teams, self.activity_of).to_xcom()
        if step == "sweep":
            return locks.sweep(clickhouse, Owner.of(task), ttl=settings.lock_ttl, activity=self.activity_of)
        build = steps.Build.from_xcom(self.handed_on["stage"])
        if step == "publish":
            fresh = [self.handed_on[f"insert_{table.short_name}"] for table in BUILT_TABLES]
            selected = select_teams(clickhouse, settings).team_ids
            return steps.publish(clickhouse, settings, task, build, fresh, selected)
        if step == "validate":
            published = {"partition_date": world.day, "build": self.handed_on["publish"]["build"]}
            teams = [row["team_id"] for row in clickhouse.query("build/list_built_teams", published)]
            result = validation.check_and_record(clickhouse, settings, task, world.day, teams)
            return validation.raise_if_failed(result)
        if step == "release":
            return steps.release(clickhouse, build)
        [table] = [table for table in BUILT_TABLES if step == f"insert_{table.short_name}"]
        return steps.insert(clickhouse, task, build, table)


@dataclass
class Cleanup(Run):
    """A run of web_analytics_cleanup with disable_team, approved by a person.

    :ivar approved: what the person saw of the date.
    """

    approved: tuple = ()

    dag_id = "web_analytics_cleanup"
    steps = ("disable", "lock", "delete", "release", "prove")

    def after_failure(self, step: str) -> tuple[str, ...]:
        return {"disable": (), "delete": ("release", "prove")}.get(step, ("prove",))

    @property
    def has_proved(self) -> bool:
        return "prove" in self.handed_on

    def show(self) -> None:
        """A person approves what is stored at this moment."""
        with self._open(self.task("show", 1), Doorkeeper()) as clickhouse:
            self.approved = tuple(cleanup.stored_days(clickhouse, APPROVED_TEAM, self._dates))

    @property
    def _dates(self) -> DateRange:
        return DateRange(self.world.day, self.world.day + ONE_DAY)

    def give_up(self, step: str) -> None:
        if step == "lock":
            task = self.task(step, self.tries[step])
            with self._open(task, Doorkeeper()) as clickhouse:
                steps.release_if_owned(clickhouse, task, self.world.day)

    def _do(self, step, clickhouse, task):
        world, settings = self.world, self.settings
        if step == "disable":
            return cleanup.disable(clickhouse, APPROVED_TEAM, "a person")
        if step == "lock":
            made, fresh = cleanup.prepare(
                clickhouse, settings, task, world.day, APPROVED_TEAM, self.activity_of
            )
            return {**made.to_xcom(), "fresh": fresh}
        if step == "prove":
            return self._prove(clickhouse, task)
        locked = self.handed_on["lock"]
        build = steps.Build.from_xcom(locked)
        if step == "release":
            return steps.release(clickhouse, build)
        return cleanup.publish(clickhouse, task, build, locked["fresh"], APPROVED_TEAM, self.approved)

    def _prove(self, clickhouse: WatchedClickHouse, task: TaskIdentity) -> bool:
        swept = locks.sweep(
            clickhouse,
            Owner.of(task),
            ttl=self.settings.lock_ttl,
            activity=self.activity_of,
            within=self._dates,
        )
        if swept.in_use:
            raise Waits
        if remaining := cleanup.stored_days(clickhouse, APPROVED_TEAM, self._dates):
            raise CleanupFailed(f"{remaining} is still there")
        if "delete" not in self.handed_on:
            raise CleanupFailed("the date was not deleted")
        return True


@dataclass
class Sweep(Run):
    """What the last task of every run does."""

    steps = ("sweep",)

    def _do(self, step, clickhouse, task):
        return locks.sweep(clickhouse, Owner.of(task), ttl=self.settings.lock_ttl, activity=self.activity_of)


@dataclass
class Validation(Run):
    """A run of web_analytics_validate."""

    dag_id = "web_analytics_validate"
    steps = ("validate",)

    def _do(self, step, clickhouse, task):
        teams = select_teams(clickhouse, self.settings).team_ids
        result = validation.check_and_record(clickhouse, self.settings, task, self.world.day, teams)
        return validation.raise_if_failed(result)


@dataclass
class Change(Run):
    """A request that changes what is registered of a team, answered by one of several api-servers.

    :ivar changes: settings by name.
    """

    changes: dict[str, Any] = field(default_factory=dict)

    dag_id = "web_analytics_api"
    steps = ("change",)

    @property
    def is_acknowledged(self) -> bool:
        return "change" in self.handed_on

    def _do(self, step, clickhouse, task):
        unregistered = Registration(APPROVED_TEAM, False, "UTC", 0)
        return registry.change(clickhouse, unregistered, self.changes, self.run_id)


def be_processes() -> None:
    """Actors are processes of their own, which share no lock of a process, and who is stopped is so for long."""
    registry._reloading = lambda clickhouse: nullcontext()
    registry.POLL_SECONDS, registry.ABANDONED_AFTER = 0, timedelta(seconds=-1)
    # Every connection asks for its login's profile, which nobody changes here: once is enough.
    ask, answers = profile.settings_to_reset, []
    profile.settings_to_reset = lambda *asked: (
        answers[0] if answers else answers.append(ask(*asked)) or answers[0]
    )


def expired(settings: Settings) -> Settings:
    """Settings under which every lock has waited long enough."""
    return replace(settings, lock_ttl_minutes=0)
