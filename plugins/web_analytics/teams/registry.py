"""Changes of the registry of teams, web_pre_aggregated_teams: each one is a new version with who made it."""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from web_analytics import schema
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import QueryFailed
from web_analytics.teams import first_backfills

UNREGISTERED_SINCE = datetime(1970, 1, 1, tzinfo=UTC)
# A change takes some hundredths of a second.
POLL_SECONDS, WAITS_AT_MOST, ABANDONED_AFTER = 0.05, timedelta(seconds=10), timedelta(seconds=30)
TABLE_ALREADY_EXISTS = 57
API = TaskIdentity(dag_id="web_analytics_api", run_id="api", task_id="put_team")
# Requests are answered in threads: without it the check of a reload could meet a further one. One for each connection: of
# two regions one may hang.
_RELOADING: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
# The token of the lock that another holds: when it was seen first, by a clock that only goes on.
_SEEN_SINCE: dict[str, float] = {}


@dataclass(frozen=True)
class Registration:
    """What is registered of a team.

    :ivar timezone: IANA name of the zone that the team's days are counted in.
    :ivar backfill_days: period of its first backfill, in local days; 0 for WEB_ANALYTICS_BACKFILL_DAYS.
    :ivar name: what people call it; empty where nobody gave one.
    :ivar mute_low_volume: nobody is told of its days with few pageviews.
    """

    team_id: int
    enabled: bool
    timezone: str
    backfill_days: int
    name: str = ""
    mute_low_volume: bool = False
    changed_by: str = ""
    changed_at: datetime = UNREGISTERED_SINCE

    def settings(self) -> dict[str, Any]:
        return {
            "enabled": self.enabled,
            "timezone": self.timezone,
            "backfill_days": self.backfill_days,
            "name": self.name,
            "mute_low_volume": self.mute_low_volume,
        }


class RegistryBusy(RuntimeError):
    """A change was not made, since others are at work on the registry."""

    code = "registry_busy"


@contextmanager
def alone(clickhouse: ClickHouse) -> Generator[str, None, None]:
    """Nobody else changes the registry meanwhile, in no process: a change reads what it changes.

    :returns: the token of the lock, a table as that of a date. A change that names it does nothing once it is lost.
    :raises RegistryBusy: others took longer than :data:`WAITS_AT_MOST`.
    """
    token, deadline = secrets.token_hex(6), time.monotonic() + WAITS_AT_MOST.total_seconds()
    while not _create_lock(clickhouse, token):
        if time.monotonic() > deadline:
            raise RegistryBusy("Others have been changing the registry of teams for too long; try again.")
        if _is_abandoned(clickhouse):
            clickhouse.run("teams/drop_registry_lock")
        time.sleep(POLL_SECONDS)
    try:
        yield token
    finally:
        held = clickhouse.query("teams/read_registry_lock")
        if held and held[0]["token"] == token:
            clickhouse.run("teams/drop_registry_lock")


def _is_abandoned(clickhouse: ClickHouse) -> bool:
    """Where the server does not know since when there is the lock, it counts from when this process saw it first."""
    for held in clickhouse.query("teams/read_registry_lock"):
        token, age = held["token"], held["age_seconds"]
        if (since := _SEEN_SINCE.get(token)) is None:
            since = time.monotonic()
            _SEEN_SINCE.clear()
            _SEEN_SINCE[token] = since
        seconds = time.monotonic() - since if age is None else age
        return seconds > ABANDONED_AFTER.total_seconds()
    return False


def _create_lock(clickhouse: ClickHouse, token: str) -> bool:
    try:
        clickhouse.run("teams/create_registry_lock", {"token": token})
    except QueryFailed as error:
        if error.code == TABLE_ALREADY_EXISTS:
            return False
        raise
    return True


def read(clickhouse: ClickHouse, team_id: int) -> Registration | None:
    rows = clickhouse.query("teams/read_registered", {"team_id": team_id})
    return Registration(**rows[0]) if rows else None


def change(
    clickhouse: ClickHouse,
    unregistered: Registration,
    changes: Mapping[str, Any],
    changed_by: str,
    task: TaskIdentity = API,
) -> Registration:
    """Writes a new version, unless it would say what the newest says already, and adds the change to the history.
    ``publish`` makes it visible to queries.

    A team that is disabled, or comes back, has left first: whatever breaks off after that, and whoever disabled it
    and deleted its rows, it is backfilled when it is enabled.

    :param unregistered: what a team that was never registered has.
    :param changes: settings by name; the others stay.
    :param task: in whose name the history tells it.
    :raises RegistryBusy: others are changing the registry; nothing was changed.
    """
    team_id = unregistered.team_id
    with alone(clickhouse) as token:
        before = read(clickhouse, team_id)
        wanted = replace(before or unregistered, **changes)
        if before is not None and before.settings() == wanted.settings():
            return before
        if before is not None and before.enabled != wanted.enabled:
            first_backfills.mark_one_left(clickhouse, team_id)
        clickhouse.run(
            "teams/insert_registered",
            {"team_id": team_id, **wanted.settings(), "changed_by": changed_by, "token": token},
        )
        after = read(clickhouse, team_id)
    if after is None or after.settings() != wanted.settings():
        raise RegistryBusy("Somebody else changed the registry of teams at the same time; try again.")
    old = before.settings() if before else {}
    different = [
        f"{name} {_in_words(old.get(name, ''))} to {_in_words(value)}"
        for name, value in wanted.settings().items()
        if old.get(name, "") != value
    ]
    history.append(
        clickhouse,
        task,
        kind="team",
        status="succeeded",
        reason=f"{changed_by} changed team {team_id}: {', '.join(different)}",
        team_count=1,
        details={"team_id": team_id, "before": old, "after": wanted.settings()},
    )
    return after


def _in_words(value: Any) -> Any:
    return "unset" if value == "" else value


def publish(clickhouse: ClickHouse) -> None:
    """Reloads and checks the dictionary.

    :raises SchemaMismatch: the dictionary does not hold what the registry holds.
    :raises RegistryBusy: another thread still reloads it, and the time for the whole answer is over.
    """
    with _reloading(clickhouse):
        schema.reload_teams_dictionary(clickhouse)


@contextmanager
def _reloading(clickhouse: ClickHouse) -> Generator[None, None, None]:
    left = clickhouse.seconds_left
    lock = _RELOADING[clickhouse.conn_id]
    if not lock.acquire(timeout=-1 if left is None else max(left, 0)):
        raise RegistryBusy("Others have been reloading the dictionary of teams for too long; try again.")
    try:
        yield
    finally:
        lock.release()
