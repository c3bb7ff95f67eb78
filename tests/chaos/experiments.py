"""Four experiments: what happens without a safeguard. Each removes it in the run's process or in the server, never
in the product, and strikes where it was needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.faults import Scenario


@dataclass(frozen=True)
class Experiment:
    """A safeguard that is removed.

    :ivar patch: called in the process of every run.
    :ivar scenario: the faults of a trial.
    :ivar fixture: options of :func:`tests.chaos.fixture.create`.
    :ivar rewrites: what the server does to statements.
    """

    scenario: Callable[[random.Random], Scenario]
    patch: Callable[[], None] = lambda: None
    fixture: dict[str, Any] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()


def _without_lock() -> None:
    """Every build believes that it holds the lock."""
    import secrets

    from web_analytics.build import locks

    def acquire(clickhouse, partition_date, owner, **_):
        return locks.Lock(partition_date, owner, secrets.token_hex(6))

    def begin(clickhouse, lock, task, step, taken=()):
        made = locks.Try.new(lock, step, task.try_number)
        return made, {locks.thing_of(table): table for table in taken}

    locks.acquire, locks.begin = acquire, begin
    locks.release = locks.check_held = lambda *_: None
    locks.sweep = lambda *_, **__: locks.Swept([], [])


def _two_runs_at_once(rng: random.Random) -> Scenario:
    """Two runs of different teams; each pauses between assembling a day and publishing it."""
    pause = {
        "id": "pause",
        "action": "delay",
        "statement": "^build/record_in_ledger$",
        "seconds": rng.uniform(0.5, 1.5),
        "times": 100,
    }
    return Scenario(kinds=["two_runs"], two_runs=True, server_faults=[pause])


def _without_verify() -> None:
    from web_analytics.build import steps

    steps._verified = lambda clickhouse, settings, day: (day, [])


def _short_writes(rng: random.Random) -> Scenario:
    fault = {
        "id": "short",
        "action": "short_write",
        "statement": "^build/(fill_sessions|insert_stats|insert_bounces)$",
        "nth": rng.randint(1, 6),
        "share": 0.5,
    }
    return Scenario(kinds=["short_write"], server_faults=[fault])


def _no_faults(rng: random.Random) -> Scenario:
    return Scenario(kinds=["stopped_merges"])


def _without_check_of_the_clone() -> None:
    from web_analytics.clickhouse.connection import ClickHouse

    query = ClickHouse.query

    def unchecked(self, path, *arguments, **options):
        return [] if path == "build/compare_clone" else query(self, path, *arguments, **options)

    ClickHouse.query = unchecked


def _insert_into_the_target() -> None:
    """Publishes as the earlier systems did: new rows are simply inserted."""
    from web_analytics.build import steps

    def insert(clickhouse, lock, table, assembled):
        clickhouse.client.execute(
            f"INSERT INTO {table.name} SELECT * FROM {assembled.clone}",
            query_id=f"{clickhouse.origin}:direct",
            settings={"log_comment": "build/insert_into_target"},
        )

    steps.replace_partition = insert


def _lost_answer_of_the_insert(rng: random.Random) -> Scenario:
    fault = {
        "id": "lost",
        "action": "lose_answer",
        "statement": "^build/insert_into_target$",
        "nth": rng.randint(1, 4),
    }
    return Scenario(kinds=["lost_answer"], server_faults=[fault])


EXPERIMENTS = {
    "no-lock": Experiment(
        _two_runs_at_once, _without_lock, fixture={"states": ("complete", "stale", "stale")}
    ),
    "no-verify": Experiment(_short_writes, _without_verify),
    "async-delete": Experiment(
        _no_faults, fixture={"states": ("complete", "stale")}, rewrites=("asynchronous_delete", "stop_merges")
    ),
    # The former is caught: nothing is published. This is what is caught.
    "async-delete-unchecked": Experiment(
        _no_faults,
        _without_check_of_the_clone,
        fixture={"states": ("complete", "stale")},
        rewrites=("asynchronous_delete", "stop_merges"),
    ),
    "no-replace": Experiment(
        _lost_answer_of_the_insert, _insert_into_the_target, fixture={"states": ("missing", "idle")}
    ),
}
