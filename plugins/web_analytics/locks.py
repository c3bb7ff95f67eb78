"""The lock of a date: while one build of a day is under way, nobody else builds that day.

A lock is a table, since creating a table is atomic. Its COMMENT says who owns it (dag, run, token) and never
changes; renewals are rows of the owner's token, so that a late renewal by a former owner changes nothing.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import date, datetime

from web_analytics.clickhouse import ClickHouse, QueryFailed
from web_analytics.partitions import partition_id

TABLE_ALREADY_EXISTS = 57
UNKNOWN_TABLE = 60


@dataclass(frozen=True)
class Owner:
    """The run that holds or asks for a lock."""

    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Lock:
    partition_date: date
    owner: Owner
    token: str

    @property
    def table(self) -> str:
        return lock_table(self.partition_date)


class LockHeld(RuntimeError):
    """Another run is building this date."""

    code = "lock_held"

    def __init__(self, lock: Lock, since: datetime, renewed_at: datetime):
        super().__init__(
            f"{lock.partition_date} is locked by run {lock.owner.run_id} of {lock.owner.dag_id} since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC (last renewed {renewed_at:%Y-%m-%d %H:%M:%S} UTC); if that run is no "
            f"longer active, drop the table {lock.table} and let this task run again."
        )
        self.lock, self.since, self.renewed_at = lock, since, renewed_at

    def __reduce__(self):
        return type(self), (self.lock, self.since, self.renewed_at)


class LockLost(RuntimeError):
    """The lock of this build is gone or belongs to somebody else: nothing more may be published."""

    code = "lock_lost"


def lock_table(partition_date: date) -> str:
    return f"web_analytics_lock_{partition_id(partition_date)}"


def find(clickhouse: ClickHouse, partition_date: date) -> tuple[Lock, datetime] | None:
    """The lock of a date and since when it is held; None where there is none."""
    found = clickhouse.query("lock/read", {"lock_table": lock_table(partition_date)})
    if not found:
        return None
    identity = json.loads(found[0]["comment"])
    owner = Owner(identity["dag_id"], identity["run_id"])
    return Lock(partition_date, owner, identity["token"]), found[0]["acquired_at"]


def acquire(clickhouse: ClickHouse, partition_date: date, owner: Owner) -> Lock:
    """Takes the lock, or continues the one that the same run holds already.

    :raises LockHeld: another run holds it.
    """
    lock = Lock(partition_date, owner, secrets.token_hex(6))
    comment = json.dumps({"dag_id": owner.dag_id, "run_id": owner.run_id, "token": lock.token})
    try:
        clickhouse.run("lock/create", {"comment": comment}, {"lock_table": lock.table})
        return lock
    except QueryFailed as error:
        if error.code != TABLE_ALREADY_EXISTS:
            raise
    held = find(clickhouse, partition_date)
    if held is None:  # released between the two statements
        return acquire(clickhouse, partition_date, owner)
    held_lock, since = held
    if held_lock.owner != owner:
        raise LockHeld(held_lock, since, _renewed_at(clickhouse, held_lock) or since)
    renew(clickhouse, held_lock)
    return held_lock


def _renewed_at(clickhouse: ClickHouse, lock: Lock) -> datetime | None:
    try:
        renewal = clickhouse.query("lock/read_renewal", {"token": lock.token}, {"lock_table": lock.table})[0]
    except QueryFailed as error:
        if error.code == UNKNOWN_TABLE:  # released meanwhile
            return None
        raise
    return renewal["renewed_at"] if renewal["renewed_at"].year > 1970 else None


def renew(clickhouse: ClickHouse, lock: Lock) -> None:
    """Says that the owner is alive, and makes sure that it still is the owner.

    :raises LockLost: the lock is gone or somebody else's.
    """
    held = find(clickhouse, lock.partition_date)
    if held is None or held[0] != lock:
        now_held_by = "nobody" if held is None else f"run {held[0].owner.run_id} of {held[0].owner.dag_id}"
        raise LockLost(
            f"The lock of {lock.partition_date} with token {lock.token} is lost, it is now held by {now_held_by}; "
            "nothing more is published by this run. Trigger a new run for this date."
        )
    clickhouse.run("lock/renew", {"token": lock.token}, {"lock_table": lock.table})


def release(clickhouse: ClickHouse, lock: Lock) -> None:
    """Drops the lock if it still is this one; releasing twice, or after it was lost, does nothing."""
    held = find(clickhouse, lock.partition_date)
    if held is not None and held[0] == lock:
        clickhouse.run("lock/drop_table", names={"table": lock.table})
