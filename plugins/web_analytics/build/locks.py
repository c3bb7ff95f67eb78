"""Who may build a date, and which of its tries: the lock of a date and the fence before each try.

A lock is a table, since creating a table is atomic. Its COMMENT says who owns it (deployment, dag, run, token) and
never changes. An abandoned lock is taken over by creating a marker table named after the old token: again, one
contender wins. The marker is then the lock, with an owner and a token of its own, and may be taken over in its turn.

Whoever was declared dead can wake up and go on with its next statement. Only a table that is gone stops it, so:

- What a try writes has the lock's token and the try's own token in its name, and a unit of statements that is repeated
  within a try writes tables of yet another token. No statement of an earlier try, however late it arrives, names them.
- Whoever holds a lock drops the tables of all other tokens before anything else, also when it only continues.
- A try that continues what another step has made takes it over by renaming it (:func:`begin`). An older try then knows
  it by a name that is gone, and whatever the older try had made of it already is dropped after that.
- The first try of an insert takes nothing over and has no older one: it begins without asking.
- Tables are listed first, then it is made sure that the lock is still held and no newer try has begun, and only then
  they are dropped, by their names: a try that slept in between cannot drop what its successor has made.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import Enum

from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import DateRange, partition_id

log = logging.getLogger(__name__)

TABLE_ALREADY_EXISTS = 57
UNKNOWN_TABLE = 60
# So often a list of tables is looked at again while somebody else is still renaming them.
LOOKS = 20

STAGE, PUBLISH = "stage", "publish"


@dataclass(frozen=True)
class Owner:
    """The run that holds or asks for a lock.

    :ivar deployment: the Airflow that it is a run of: several may work on one ClickHouse, and have runs of one id.
    """

    dag_id: str
    run_id: str
    deployment: str = "local"

    @classmethod
    def of(cls, task: TaskIdentity) -> Owner:
        return cls(task.dag_id, task.run_id, task.deployment)


class RunActivity(Enum):
    """What Airflow knows of the run that holds a lock."""

    ACTIVE = "active"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Lock:
    """A lock as its owner knows it.

    :ivar token: names the tables of the build that is under way.
    :ivar is_new: whether who asked for it has just made it, so that nobody can have begun anything under it before.
    """

    partition_date: date
    owner: Owner
    token: str
    is_new: bool = field(default=False, compare=False)

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


@dataclass(frozen=True)
class Try:
    """One try of one step of a build. What it writes are the tables of its own token.

    :ivar step: stage, insert_<table> or publish.
    :ivar number: Airflow's number of the try: of two tries of one step, the newer one has the larger.
    :ivar token: a new one for each unit of statements that is repeated.
    """

    lock: Lock
    step: str
    number: int
    token: str

    @classmethod
    def new(cls, lock: Lock, step: str, number: int) -> Try:
        return cls(lock, step, number, secrets.token_hex(4))

    def again(self) -> Try:
        """The same try with names of its own for what it repeats."""
        return replace(self, token=secrets.token_hex(4))

    @property
    def name(self) -> str:
        """What its tables' names have after the prefix of the lock."""
        return f"{self.step}{self.number}_{self.token}"

    def table(self, thing: str) -> str:
        return f"{self.lock.table_prefix}{self.name}_{thing}"


@dataclass(frozen=True)
class _Made:
    """A per-run table as its name tells: by which try of which step, and what it holds."""

    table: str
    step: str
    number: int
    thing: str


@dataclass(frozen=True)
class Swept:
    """What a sweep found.

    :ivar cleared: dates that broken-off builds had left locked or with tables.
    :ivar in_use: dates that somebody is at work on.
    """

    cleared: list[date]
    in_use: list[date]


class LockHeld(RuntimeError):
    """Another run is building this date."""

    code = "lock_held"

    def __init__(self, lock: Lock, since: datetime, renewed_at: datetime):
        super().__init__(
            f"{lock.partition_date} is locked by run {lock.owner.run_id} of {lock.owner.dag_id} since "
            f"{since:%Y-%m-%d %H:%M:%S} UTC (Airflow {lock.owner.deployment}), last renewed "
            f"{renewed_at:%Y-%m-%d %H:%M:%S} UTC; it is taken over once that run has ended or the lock is not renewed "
            "for WEB_ANALYTICS_LOCK_TTL_MINUTES."
        )
        self.lock, self.since, self.renewed_at = lock, since, renewed_at

    def __reduce__(self):
        return type(self), (self.lock, self.since, self.renewed_at)


class LockLost(RuntimeError):
    """The date is no longer this try's: the lock is gone or somebody else's, or a newer try has begun."""

    code = "lock_lost"


_TABLE = re.compile(
    r"web_analytics_build_\d{8}_[0-9a-f]+_(?P<step>[a-z_]+)(?P<number>\d+)_[0-9a-f]{8}_(?P<thing>[a-z0-9_]+)"
)


def lock_table(partition_date: date) -> str:
    return f"web_analytics_lock_{partition_id(partition_date)}"


def _takeover_prefix(partition_date: date) -> str:
    return f"web_analytics_takeover_{partition_id(partition_date)}_"


def _build_prefix(partition_date: date) -> str:
    return f"web_analytics_build_{partition_id(partition_date)}_"


@dataclass(frozen=True)
class _Found:
    """What there is of a date.

    :ivar held: the lock, after all takeovers; None where there is none.
    :ivar dangling: takeover markers that lead from no lock to nobody.
    :ivar tables: the per-run tables of all its builds.
    """

    held: HeldLock | None
    dangling: list[str]
    tables: list[str]

    def tables_of(self, lock: Lock) -> list[str]:
        return [name for name in self.tables if name.startswith(lock.table_prefix)]


def find(clickhouse: ClickHouse, partition_date: date) -> HeldLock | None:
    """Who holds the lock of a date, after all takeovers; None where there is no lock."""
    return _look(clickhouse, partition_date).held


def _look(clickhouse: ClickHouse, partition_date: date) -> _Found:
    prefixes = {
        "takeover_prefix": _takeover_prefix(partition_date),
        "build_prefix": _build_prefix(partition_date),
    }
    rows = clickhouse.query(
        "build/list_tables_of_date", {"lock_table": lock_table(partition_date), **prefixes}
    )
    found = {row["name"]: row for row in rows}
    tables = [name for name in found if name.startswith(prefixes["build_prefix"])]
    name, markers = lock_table(partition_date), []
    held = None
    while row := found.pop(name, None):
        lock = Lock(partition_date, *_identity(row["comment"]))
        held = HeldLock(lock, row["created_at"], tuple(markers))
        name = f"{prefixes['takeover_prefix']}{lock.token}"
        markers.append(name)
    return _Found(held, [name for name in found if name not in tables], tables)


def _identity(comment: str) -> tuple[Owner, str]:
    said = json.loads(comment)
    return Owner(said["dag_id"], said["run_id"], said["deployment"]), said["token"]


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
    found = _look(clickhouse, partition_date)
    held = found.held
    if held is None:
        lock = _create(clickhouse, lock_table(partition_date), partition_date, owner)
        if lock is None:  # somebody was faster
            return acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
        # What a release that was broken off left. They were there before this lock, so none of them is its heir's.
        _drop(clickhouse, found.dangling)
        _fence(clickhouse, lock)
        return lock
    if held.lock.owner == owner:
        # Perhaps a takeover that was broken off, or whose answer was lost, before it had fenced the old owner.
        _fence(clickhouse, held.lock)
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
    clickhouse.kill("build/kill_queries_of_build", {"table_prefix": held.lock.table_prefix})
    _fence(clickhouse, lock)
    return lock


def _create(clickhouse: ClickHouse, table: str, partition_date: date, owner: Owner) -> Lock | None:
    lock = Lock(partition_date, owner, secrets.token_hex(6), is_new=True)
    comment = json.dumps(
        {
            "deployment": owner.deployment,
            "dag_id": owner.dag_id,
            "run_id": owner.run_id,
            "token": lock.token,
        }
    )
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


def _fence(clickhouse: ClickHouse, lock: Lock) -> None:
    """Makes everything that any other token has made of this date unreachable, for whoever still knows its name.

    :raises LockLost: the lock is somebody else's by now; nothing was dropped that was made after that.
    """
    for _ in range(LOOKS):
        tables = _look(clickhouse, lock.partition_date).tables
        of_others = [name for name in tables if not name.startswith(lock.table_prefix)]
        if not of_others:
            return
        check_held(clickhouse, lock)
        for prefix in sorted({_lock_part(name) for name in of_others}):
            clickhouse.kill("build/kill_queries_of_build", {"table_prefix": prefix})
        _drop(clickhouse, of_others)
    raise LockLost(f"The tables of others on {lock.partition_date} keep coming back; nothing is published.")


def _lock_part(table: str) -> str:
    """The part of a per-run table's name that tells date and lock."""
    return "_".join(table.split("_")[:5]) + "_"


def begin(
    clickhouse: ClickHouse, lock: Lock, task: TaskIdentity, step: str, taken: Iterable[str] = ()
) -> tuple[Try, dict[str, str]]:
    """Begins a try of a step: from here on, older tries of this step can change nothing any more.

    :param taken: tables of earlier steps that only the newest try of this step may use: they are renamed.
    :returns: the try, and its own names of the taken tables by what they hold.
    :raises LockLost: the lock is lost, a newer try has begun, or what is to be taken is gone.
    """
    made = Try.new(lock, step, task.try_number)
    is_first = lock.is_new if step == STAGE else made.number == 1
    if not is_first:
        check_held(clickhouse, lock)
    if step == STAGE or taken or not is_first:
        clickhouse.run(
            "build/renew_lock",
            {"token": lock.token, "step": step, "try_number": made.number, "try_token": made.token},
            {"lock_table": lock.table},
        )
    own, is_first = clickhouse.repeat(lambda: _take(clickhouse, made, list(taken), is_first))
    clickhouse.sync(*own.values())
    if not is_first:
        _drop_older(clickhouse, made, set(own.values()))
    return made, own


def _take(clickhouse: ClickHouse, made: Try, taken: list[str], is_first: bool) -> tuple[dict[str, str], bool]:
    """Renames what is taken, wherever an older try of the step has taken it before.

    :param is_first: whether no try of the step can have begun before.
    :returns: the new names by what they hold, and whether that is still so.
    """
    own = {thing_of(table): made.table(thing_of(table)) for table in taken}
    for _ in range(LOOKS if taken else 0):
        where = {thing_of(table): table for table in taken}
        if not is_first:
            tables = _look(clickhouse, made.lock.partition_date).tables_of(made.lock)
            for each in sorted(map(_made_by, tables), key=lambda each: each.number):
                if each.step == made.step and each.thing in where:
                    if each.number > made.number:
                        raise _superseded(made)
                    where[each.thing] = each.table
        renames = [(where[thing], own[thing]) for thing in own if where[thing] != own[thing]]
        if not renames:
            return own, is_first
        try:
            # A catalog of several nodes renames one table a statement. Whoever comes between finds the others where they are.
            for each in [[one] for one in renames] if clickhouse.has_shared_catalog else [renames]:
                names: sql.Names = {"old": [a for a, _ in each], "new": [b for _, b in each]}
                clickhouse.run("build/rename_tables", names=names)
            return own, is_first
        except QueryFailed as error:
            # Gone: another try has taken them. There already: it was done, and the answer was lost.
            if error.code not in (UNKNOWN_TABLE, TABLE_ALREADY_EXISTS):
                raise
            is_first = False
            check_held(clickhouse, made.lock)
    if taken:
        raise LockLost(
            f"What is to be published of {made.lock.partition_date} is gone: another try has taken it over, or it was "
            "released. The next run builds this date if it still lacks rows."
        )
    return own, is_first


def _drop_older(clickhouse: ClickHouse, made: Try, keep: set[str]) -> None:
    """Drops what older tries of this step have made; the first step begins everything anew."""
    tables = [
        each.table
        for each in map(_made_by, _look(clickhouse, made.lock.partition_date).tables_of(made.lock))
        if each.table not in keep and (made.step in (STAGE, each.step))
    ]
    if not tables:
        return
    check_held(clickhouse, made.lock)
    if _newest_try(clickhouse, made.lock, made.step) != (made.number, made.token):
        raise _superseded(made)
    _drop(clickhouse, tables)


def _superseded(made: Try) -> LockLost:
    return LockLost(
        f"{made.lock.partition_date}: a newer try of {made.step} has begun; this one, try {made.number}, ends without "
        "having changed anything."
    )


def _newest_try(clickhouse: ClickHouse, lock: Lock, step: str) -> tuple[int, str] | None:
    clickhouse.sync(lock.table)
    rows = clickhouse.query(
        "build/read_newest_try", {"token": lock.token, "step": step}, {"lock_table": lock.table}
    )
    return (rows[0]["try_number"], rows[0]["try_token"]) if rows else None


def _made_by(table: str) -> _Made:
    found = _TABLE.fullmatch(table)
    if found is None:  # made by hand
        return _Made(table, "", 0, "")
    return _Made(table, found["step"], int(found["number"]), found["thing"])


def thing_of(table: str) -> str:
    """What a per-run table holds, as its name tells."""
    return _made_by(table).thing


def _last_renewal(clickhouse: ClickHouse, held: HeldLock) -> tuple[datetime, datetime]:
    """When the lock was last renewed, and the present instant, both by the server's clock."""
    clickhouse.sync(held.lock.table)
    renewal = clickhouse.query(
        "build/read_lock_renewal", {"token": held.lock.token}, {"lock_table": held.lock.table}
    )[0]
    renewed_at, now = renewal["renewed_at"], renewal["now"]
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


def check_held(clickhouse: ClickHouse, lock: Lock) -> None:
    """:raises LockLost: the lock is gone or somebody else's."""
    held = find(clickhouse, lock.partition_date)
    if held is None or held.lock != lock:
        holder = "nobody" if held is None else f"run {held.lock.owner.run_id} of {held.lock.owner.dag_id}"
        raise LockLost(
            f"The lock of {lock.partition_date} with token {lock.token} is lost, it is now held by {holder}; "
            "nothing more is published by this task. The next run builds this date if it still lacks rows."
        )


def release(clickhouse: ClickHouse, lock: Lock, staged: str = "") -> None:
    """Drops the tables of a lock, and the lock if it still is this one; releasing twice, or after it was lost, does
    nothing.

    :param staged: the try of the first step that is over; nothing happens if a newer one has begun since. Empty for
        whatever there is.
    """
    found = _look(clickhouse, lock.partition_date)
    held = found.held
    is_held = held is not None and held.lock == lock
    if is_held and staged and _is_begun_again(clickhouse, lock, staged):
        log.info("%s: a newer try has begun; there is nothing to release.", lock.partition_date)
        return
    # The lock before its markers: without it they mean nothing, while without its marker it would be the old owner's.
    of_the_lock = (lock.table, *held.markers) if is_held else ()
    _drop(clickhouse, [*found.tables_of(lock), *of_the_lock])


def _is_begun_again(clickhouse: ClickHouse, lock: Lock, staged: str) -> bool:
    try:
        newest = _newest_try(clickhouse, lock, STAGE)
    except QueryFailed as error:
        if error.code != UNKNOWN_TABLE:
            raise
        return False  # it was released just now
    return newest is not None and int(re.fullmatch(r"[a-z_]+(\d+)_\w+", staged)[1]) < newest[0]


def sweep(
    clickhouse: ClickHouse,
    owner: Owner,
    *,
    ttl: timedelta | None = None,
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
    within: DateRange | None = None,
) -> Swept:
    """Clears what abandoned builds left on any date: a run that was killed, or whose release failed, after its
    date was published leaves a lock that no later run would ask for.

    What the asking run itself holds is left to a later one: it may be at work on it in a newer try.

    :param within: only these dates.
    """
    cleared, in_use = [], []
    for row in clickhouse.query("build/list_locked_dates"):
        partition_date = datetime.strptime(row["partition_id"], "%Y%m%d").date()  # noqa: DTZ007
        if within is not None and partition_date not in within:
            continue
        held = find(clickhouse, partition_date)
        if held is not None and held.lock.owner == owner:
            continue
        try:
            lock = acquire(clickhouse, partition_date, owner, ttl=ttl, activity=activity)
        except (LockHeld, LockLost):
            in_use.append(partition_date)
            continue
        except QueryFailed as error:
            if error.code != UNKNOWN_TABLE:
                raise
            continue  # it was released just now
        release(clickhouse, lock)
        cleared.append(partition_date)
    return Swept(cleared, in_use)


def _drop(clickhouse: ClickHouse, tables: list[str]) -> None:
    if tables:
        clickhouse.run("build/drop_tables", names={"tables": tables})
