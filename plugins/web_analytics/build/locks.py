"""The lock of a date: while one build of a day is under way, nobody else builds that day.

A lock is a table, since creating a table is atomic. Its COMMENT says who owns it (dag, run, token) and never
changes; renewals are rows of the owner's token, so that a late renewal by a former owner changes nothing.

An abandoned lock is taken over by creating a marker table named after the old token: again, one contender
wins. The marker is then the lock, with an owner and a token of its own, and may be taken over in its turn.
The winner drops the tables of the old token, so that whatever the old owner still does fails on a table that
is gone and can publish nothing.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import partition_id

log = logging.getLogger(__name__)

TABLE_ALREADY_EXISTS = 57
UNKNOWN_TABLE = 60


@dataclass(frozen=True)
class Owner:
    """The run that holds or asks for a lock."""

    dag_id: str
    run_id: str


class RunActivity(Enum):
    """What Airflow knows of the run that holds a lock."""

    ACTIVE = "active"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Lock:
    """A lock as its owner knows it.

    :ivar token: names the tables of the build that is under way.
    """

    partition_date: date
    owner: Owner
    token: str

    @property
    def table(self) -> str:
        return lock_table(self.partition_date)

    @property
    def table_prefix(self) -> str:
        """Beginning of the names of all per-run tables of this lock."""
        return f"{_build_prefix(self.partition_date)}{self.token}_"


@dataclass(frozen=True)
class HeldLock:
    """A lock as others see it.

    :ivar markers: the takeover markers that led to the present owner, oldest first.
    """

    lock: Lock
    since: datetime
    markers: tuple[str, ...] = ()


class LockHeld(RuntimeError):
    """Another run is building this date."""

    code = "lock_held"

    def __init__(self, lock: Lock, since: datetime, renewed_at: datetime):
        super().__init__(
            f"{lock.partition_date} is locked by run {lock.owner.run_id} of {lock.owner.dag_id} since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC, last renewed {renewed_at:%Y-%m-%d %H:%M:%S} UTC; it is taken over once "
            "that run has ended or the lock is not renewed for WEB_ANALYTICS_LOCK_TTL_MINUTES."
        )
        self.lock, self.since, self.renewed_at = lock, since, renewed_at

    def __reduce__(self):
        return type(self), (self.lock, self.since, self.renewed_at)


class LockLost(RuntimeError):
    """The lock of this build is gone or belongs to somebody else: nothing more may be published."""

    code = "lock_lost"


def lock_table(partition_date: date) -> str:
    return f"web_analytics_lock_{partition_id(partition_date)}"


def _takeover_prefix(partition_date: date) -> str:
    return f"web_analytics_takeover_{partition_id(partition_date)}_"


def _build_prefix(partition_date: date) -> str:
    return f"web_analytics_build_{partition_id(partition_date)}_"


def find(clickhouse: ClickHouse, partition_date: date) -> HeldLock | None:
    """Who holds the lock of a date, after all takeovers; None where there is no lock."""
    prefix = _takeover_prefix(partition_date)
    rows = clickhouse.query(
        "build/read_lock", {"lock_table": lock_table(partition_date), "takeover_prefix": prefix}
    )
    tables = {row["name"]: row for row in rows}
    name, markers = lock_table(partition_date), []
    held = None
    while row := tables.get(name):
        identity = json.loads(row["comment"])
        lock = Lock(partition_date, Owner(identity["dag_id"], identity["run_id"]), identity["token"])
        held = HeldLock(lock, row["created_at"].replace(tzinfo=UTC), tuple(markers))
        name = f"{prefix}{lock.token}"
        markers.append(name)
    return held


def acquire(
    clickhouse: ClickHouse,
    partition_date: date,
    owner: Owner,
    *,
    ttl: timedelta | None = None,
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> Lock:
    """Takes the lock, continues the one that the same run holds already, or takes over an abandoned one.

    :param ttl: an unrenewed lock of which no query runs is abandoned after this long; None: never.
    :param activity: tells whether the run that holds a lock is still active; the lock of a run that has ended
        is abandoned at once.
    :raises LockHeld: another run holds it.
    """
    held = find(clickhouse, partition_date)
    if held is None:
        lock = _create(clickhouse, lock_table(partition_date), partition_date, owner)
        if lock is None:  # somebody was faster
            return acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
        _drop_markers_without_lock(clickhouse, lock)
        return lock
    if held.lock.owner == owner:
        renew(clickhouse, held.lock)
        return held.lock
    try:
        renewed_at, now = _last_renewal(clickhouse, held)
    except QueryFailed as error:
        if error.code != UNKNOWN_TABLE:
            raise
        # It was released just now.
        return acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
    if not _is_abandoned(clickhouse, held, now - renewed_at, ttl, activity):
        raise LockHeld(held.lock, held.since, renewed_at)
    marker = f"{_takeover_prefix(partition_date)}{held.lock.token}"
    lock = _create(clickhouse, marker, partition_date, owner)
    if lock is None:  # another contender won
        return acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
    if not _is_held_by(
        clickhouse, lock
    ):  # the old owner released its lock just now, the marker means nothing
        _drop(clickhouse, [marker])
        return acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
    log.warning(
        "Took over the lock of %s from run %s of %s, which was last renewed at %s UTC.",
        partition_date,
        held.lock.owner.run_id,
        held.lock.owner.dag_id,
        renewed_at,
    )
    clickhouse.run("build/kill_queries_of_build", {"table_prefix": held.lock.table_prefix})
    drop_build_tables(clickhouse, held.lock)
    return lock


def _create(clickhouse: ClickHouse, table: str, partition_date: date, owner: Owner) -> Lock | None:
    lock = Lock(partition_date, owner, secrets.token_hex(6))
    comment = json.dumps({"dag_id": owner.dag_id, "run_id": owner.run_id, "token": lock.token})
    try:
        clickhouse.run("build/create_lock", {"comment": comment}, {"lock_table": table})
    except QueryFailed as error:
        if error.code == TABLE_ALREADY_EXISTS:
            return None
        raise
    return lock


def _is_held_by(clickhouse: ClickHouse, lock: Lock) -> bool:
    held = find(clickhouse, lock.partition_date)
    return held is not None and held.lock == lock


def _drop_markers_without_lock(clickhouse: ClickHouse, lock: Lock) -> None:
    """Drops what a release that was broken off left; the new lock's token is in none of them."""
    _drop_by_prefix(clickhouse, _takeover_prefix(lock.partition_date))


def _last_renewal(clickhouse: ClickHouse, held: HeldLock) -> tuple[datetime, datetime]:
    """When the lock was last renewed, and the present instant, both by the server's clock."""
    renewal = clickhouse.query(
        "build/read_lock_renewal", {"token": held.lock.token}, {"lock_table": held.lock.table}
    )[0]
    renewed_at, now = renewal["renewed_at"].replace(tzinfo=UTC), renewal["now"].replace(tzinfo=UTC)
    # A table is visible before its metadata file has its name; meanwhile the server says 1970.
    since = held.since if held.since.year > 1970 else now
    return max(renewed_at, since), now


def _is_abandoned(
    clickhouse: ClickHouse,
    held: HeldLock,
    unrenewed_for: timedelta,
    ttl: timedelta | None,
    activity: Callable[[Owner], RunActivity],
) -> bool:
    if activity(held.lock.owner) is RunActivity.ENDED:
        return True
    if ttl is None or unrenewed_for < ttl:
        return False
    running = clickhouse.query("build/count_queries_of_build", {"table_prefix": held.lock.table_prefix})
    return running[0]["running"] == 0


def renew(clickhouse: ClickHouse, lock: Lock) -> None:
    """Says that the owner is alive, and makes sure that it still is the owner.

    :raises LockLost: the lock is gone or somebody else's.
    """
    held = find(clickhouse, lock.partition_date)
    if held is None or held.lock != lock:
        holder = "nobody" if held is None else f"run {held.lock.owner.run_id} of {held.lock.owner.dag_id}"
        raise LockLost(
            f"The lock of {lock.partition_date} with token {lock.token} is lost, it is now held by {holder}; "
            "nothing more is published by this task. The next run builds this date if it still lacks rows."
        )
    clickhouse.run("build/renew_lock", {"token": lock.token}, {"lock_table": lock.table})


def release(clickhouse: ClickHouse, lock: Lock) -> None:
    """Drops the lock if it still is this one; releasing twice, or after it was lost, does nothing."""
    held = find(clickhouse, lock.partition_date)
    if held is None or held.lock != lock:
        return
    # The lock first: without it, markers mean nothing, while without its marker the lock would be the old owner's.
    for table in (lock.table, *held.markers):
        _drop(clickhouse, [table])


def drop_build_tables(clickhouse: ClickHouse, lock: Lock) -> None:
    """Drops the per-run tables of a lock's token, as many as are there."""
    _drop_by_prefix(clickhouse, lock.table_prefix)


def drop_all_build_tables(clickhouse: ClickHouse, lock: Lock) -> None:
    """Drops the per-run tables of the lock's date whatever their token: its own, and what a former owner or a
    takeover that was broken off left. Only the holder of the lock may do this, and before it builds."""
    _drop_by_prefix(clickhouse, _build_prefix(lock.partition_date))


def sweep(
    clickhouse: ClickHouse,
    owner: Owner,
    *,
    ttl: timedelta | None = None,
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> list[date]:
    """Clears what abandoned builds left on any date: a run that was killed, or whose release failed, after its
    date was published leaves a lock that no later run would ask for.

    :returns: the dates that were cleared; those whose lock is in use are left alone.
    """
    cleared = []
    for row in clickhouse.query("build/list_locked_dates"):
        partition_date = datetime.strptime(row["partition_id"], "%Y%m%d").date()  # noqa: DTZ007
        try:
            lock = acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
        except (LockHeld, LockLost):
            continue
        except QueryFailed as error:
            if error.code != UNKNOWN_TABLE:
                raise
            continue  # it was released just now
        drop_all_build_tables(clickhouse, lock)
        release(clickhouse, lock)
        cleared.append(partition_date)
    return cleared


def _drop_by_prefix(clickhouse: ClickHouse, prefix: str) -> None:
    _drop(
        clickhouse, [row["name"] for row in clickhouse.query("build/list_build_tables", {"prefix": prefix})]
    )


def _drop(clickhouse: ClickHouse, tables: list[str]) -> None:
    if tables:
        clickhouse.run("build/drop_tables", names={"tables": tables})
