"""The kinds of fault, and how a seed turns one into something that happens at some instant."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

RETRIED_CODES = (159, 202, 210, 241, 252, 319)
FINAL_CODES = (60, 62, 497, 47)

# The statements of a run, by what they do: a fault aimed at one of them strikes where it hurts.
STAGE = r"^build/(create|fill)"
PUBLISH = r"^build/(attach|delete|replace|rename|record|compare|renew_lock)"
INSERT_SELECTS = r"^backfill/(fill_sessions|insert_)"
ALL_INSERT_SELECTS = r"^(build/(fill|insert|record)|detection/insert_plan|build/renew_lock)"
RELEASE = r"^build/(list_locked_dates|drop_tables)"
AIMS = (STAGE, PUBLISH, RELEASE, r"^detection/|^teams/|^tasks/", "")

KINDS = (
    "kill_task",
    "kill_clickhouse",
    "code",
    "short_write",
    "lost_answer",
    "kill_task_at_statement",
    "kill_clickhouse_at_statement",
    "cut",
    "stall",
    "two_runs",
)
# Those that need nothing of the server but that it can be killed and started.
KINDS_AROUND_STATEMENTS = ("kill_task", "kill_clickhouse", "cut", "stall", "two_runs")
SCHEDULER_KIND = "kill_scheduler"  # rare: Airflow takes half a minute to start
RECOVERIES = ("retry", "retry", "retry", "mark_failed", "forget")


@dataclass
class Scenario:
    """What goes wrong in one trial.

    :ivar server_faults: for tests/chaos/server.py.
    :ivar orders: (seconds after the start, what): kill_task, kill_clickhouse, or an order for the proxy.
    :ivar recovery: what becomes of the run whose process was killed.
    :ivar restart_delay: how long ClickHouse stays down.
    """

    kinds: list[str] = field(default_factory=list)
    server_faults: list[dict[str, Any]] = field(default_factory=list)
    orders: list[tuple[float, str]] = field(default_factory=list)
    recovery: str = "retry"
    restart_delay: float = 0.0
    two_runs: bool = False


def draw(rng: random.Random, kind: str, seconds: float, kinds: Sequence[str] = KINDS) -> Scenario:
    """A scenario of this kind, now and then with a second fault of another.

    :param seconds: what an undisturbed run takes.
    :param kinds: which ones the server can be harmed with.
    """
    if kind == SCHEDULER_KIND:
        return Scenario(kinds=[kind])
    scenario = Scenario(recovery=rng.choice(RECOVERIES), restart_delay=rng.choice([0, 0, 0.5, 2]))
    _add(rng, scenario, kind, seconds)
    if rng.random() < 0.2:
        _add(rng, scenario, rng.choice([other for other in kinds if other != kind]), seconds)
    return scenario


def _add(rng: random.Random, scenario: Scenario, kind: str, seconds: float) -> None:
    scenario.kinds.append(kind)
    number = len(scenario.server_faults)
    fault: dict[str, Any] = {
        "id": f"{kind}-{number}",
        "statement": rng.choice(AIMS),
        "nth": rng.randint(1, 8),
        "when": rng.choice(["before", "during", "after"]),
        "seconds": rng.choice([0.001, 0.003, 0.01, 0.03]),
    }
    if fault["statement"] == "":
        fault["nth"] = rng.randint(1, 100)
    moment = rng.uniform(0.05, 0.75) * seconds
    if kind == "kill_task":
        scenario.orders.append((moment, "kill_task"))
    elif kind == "kill_clickhouse":
        scenario.orders.append((moment, "kill_clickhouse"))
    elif kind == "kill_task_at_statement":
        scenario.server_faults.append({**fault, "action": "kill_client"})
    elif kind == "kill_clickhouse_at_statement":
        scenario.server_faults.append({**fault, "action": "kill_server"})
    elif kind == "code":
        code = rng.choice(RETRIED_CODES if rng.random() < 0.7 else FINAL_CODES)
        when, times = rng.choice(["before", "after"]), rng.choice([1, 1, 2, 3, 5])
        scenario.server_faults.append({**fault, "action": "code", "code": code, "when": when, "times": times})
    elif kind == "lost_answer":
        scenario.server_faults.append({**fault, "action": "lose_answer", "times": rng.choice([1, 1, 2])})
    elif kind == "short_write":
        aim = rng.choice([INSERT_SELECTS, INSERT_SELECTS, ALL_INSERT_SELECTS])
        scenario.server_faults.append(
            {
                **fault,
                "action": "short_write",
                "statement": aim,
                "nth": rng.randint(1, 6),
                "share": rng.choice([0, 0.3, 0.6, 0.99]),
                "times": rng.choice([1, 1, 2, 4]),
            }
        )
    elif kind in ("cut", "stall"):
        order = "cut" if kind == "cut" else rng.choice(["stall", "blackhole"]) + " {stall_seconds}"
        scenario.orders.append((moment, order))
        if kind == "cut" and rng.random() < 0.5:
            scenario.orders.append((moment + rng.uniform(0.05, 1), order))
    elif kind == "two_runs":
        scenario.two_runs = True
        scenario.server_faults.append(
            {
                **fault,
                "action": "delay",
                "statement": r"^build/(replace_partition|compare_clone)$",
                "nth": 1,
                "seconds": rng.uniform(0, 0.4),
                "times": rng.choice([0, 4]),
            }
        )
