"""Builds one date exactly once: lock, stage, insert, verify, publish, record, release (docs/semantics.md).

Each function is one step of a mapped task group and may be repeated at any time: it begins a try of its own, whose
tables have names of their own, and takes over what its predecessor has handed on by name.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

from web_analytics import __version__
from web_analytics.build import locks
from web_analytics.build.locks import PUBLISH, STAGE, UNKNOWN_TABLE, Lock, LockLost, Owner, RunActivity, Try
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.clickhouse.history import TaskIdentity, attempt
from web_analytics.detection import activity as source_activity
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import ONE_DAY, DateRange, partition_id
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, BUILT_TABLES, STATS, PreAggregatedTable

log = logging.getLogger(__name__)

# Setup gives replaced parts of the targets a lifetime of a second; engines look for them every second (25.5), or at
# growing intervals of up to about 40 s (26.5), and keep what a query still reads.
PARTS_ARE_GONE_WITHIN = timedelta(minutes=2)
PARTS_POLL_SECONDS = 0.5

# What a statement is answered that was waited for on every replica, when one of them is not active.
NOT_ON_ALL_REPLICAS = 341

# What the names of the tables have that one date has for a while: its lock, and what its tries write.
OF_A_DATE = re.compile("web_analytics_(build|lock)_")

# How many of the teams that were not published a message names.
NAMED_TEAMS = 20


class VerificationFailed(RuntimeError):
    """What was built is not what the source holds; of the teams that the message names nothing was published."""

    code = "verification_failed"


class PublishedDiffers(RuntimeError):
    """After it was replaced, a table does not hold what was to be published: somebody else has written to it."""

    code = "published_differs"


class StagedByAnotherVersion(RuntimeError):
    """The package was replaced while the date was being built: Airflow pins the DAG file of a run, not what it imports."""

    code = "another_version"


@dataclass(frozen=True)
class Staged:
    """The tables of one staging of a day.

    :ivar teams: the list of the teams that are built; publishing takes it over under another name.
    """

    teams: str
    events: str
    repeated: str
    visits: str
    sessions: str

    @classmethod
    def of(cls, made: Try, teams: str = "") -> Staged:
        things = ("events", "repeated", "visits", "sessions")
        return cls(teams or made.table("teams"), *(made.table(thing) for thing in things))


@dataclass(frozen=True)
class Build:
    """One build of one date: its lock, and the try that has staged it.

    :ivar staged_by: the name of that try.
    :ivar version: the package's, by which it was staged.
    """

    lock: Lock
    staged_by: str
    version: str = __version__

    @property
    def partition_date(self) -> date:
        return self.lock.partition_date

    @property
    def token(self) -> str:
        return self.lock.token

    @property
    def staged(self) -> Staged:
        """The tables as the first step has handed them on."""
        prefix = f"{self.lock.table_prefix}{self.staged_by}_"
        return Staged(*(prefix + thing for thing in ("teams", "events", "repeated", "visits", "sessions")))

    @property
    def day(self) -> dict[str, Any]:
        """The parameters of every statement that reads this day."""
        return day_of(self.lock)

    def to_xcom(self) -> dict[str, str]:
        return {
            "partition_date": self.partition_date.isoformat(),
            "token": self.token,
            "staged_by": self.staged_by,
            "version": self.version,
            **asdict(self.lock.owner),
        }

    @classmethod
    def from_xcom(cls, value: Mapping[str, str]) -> Build:
        owner = Owner(value["dag_id"], value["run_id"], value["deployment"])
        lock = Lock(date.fromisoformat(value["partition_date"]), owner, value["token"])
        return cls(lock, value["staged_by"], value["version"])

    def check_version(self) -> None:
        """:raises StagedByAnotherVersion: what was staged is not this version's to go on with."""
        if self.version != __version__:
            raise StagedByAnotherVersion(
                f"{self.partition_date} was staged by version {self.version} of the package, and this task is of version "
                f"{__version__}. Nothing is published by this task. The next run, or this one once the tasks of the date "
                "are cleared, stages the date anew."
            )


@contextlib.contextmanager
def owned(partition_date: date) -> Generator[None, None, None]:
    """What is done inside is done with tables of this try, under its lock: once they are gone, so is the date.

    :raises LockLost: a newer try or another run has dropped them.
    """
    try:
        yield
    except QueryFailed as error:
        if error.code == UNKNOWN_TABLE and OF_A_DATE.search(error.reason):
            raise LockLost(
                f"The tables of this try of {partition_date} are gone: a newer try or another run has taken the date "
                "over. Nothing more is published by this task. The next run builds this date if it still lacks rows."
            ) from error
        raise


def day_of(lock: Lock) -> dict[str, Any]:
    return {"date_start": lock.partition_date, "date_end": lock.partition_date + ONE_DAY}


def stage(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Iterable[int],
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> Build:
    """Takes the lock of the date and stages its sessions.

    :param team_ids: the teams to build; their rows of this date are replaced, all others' are kept.
    :param activity: tells whether the run that holds the lock is still active.
    :raises LockHeld: another run is building this date.
    :raises LockLost: a newer try has begun.
    """
    made = begin(clickhouse, settings, task, partition_date, activity)
    teams = sorted(set(team_ids))

    def stage_anew() -> Try:
        anew = made.again()
        staged = Staged.of(anew)
        create_teams(clickhouse, staged.teams, teams)
        _fill_stage(clickhouse, settings, made.lock, staged)
        return anew

    with attempt(clickhouse, task, partition_date) as logged, owned(partition_date):
        by = clickhouse.repeat(stage_anew)
        logged.team_count = len(teams)
    return Build(made.lock, by.name)


def begin(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> Try:
    """Takes the lock of a date and begins a try of its first step.

    :raises LockHeld: another run is at work on this date.
    """
    lock = locks.acquire(clickhouse, partition_date, Owner.of(task), ttl=settings.lock_ttl, activity=activity)
    with owned(partition_date):
        made, _ = locks.begin(clickhouse, lock, task, STAGE)
    return made


def insert(clickhouse: ClickHouse, task: TaskIdentity, build: Build, table: PreAggregatedTable) -> str:
    """Aggregates the staged sessions into a fresh table with the target's definition.

    :returns: the name of the fresh table, which publishing takes over.
    :raises StagedByAnotherVersion: the package was replaced since the date was staged.
    """
    build.check_version()
    with owned(build.partition_date):
        made, _ = locks.begin(clickhouse, build.lock, task, f"insert_{table.short_name}")

    def insert_anew() -> str:
        fresh = made.again().table(fresh_thing(table))
        _fill_fresh(clickhouse, build.staged, fresh, table)
        return fresh

    with attempt(clickhouse, task, build.partition_date, table.name), owned(build.partition_date):
        return clickhouse.repeat(insert_anew)


def publish(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    build: Build,
    fresh: Iterable[str],
    selected: Collection[int] | None = None,
) -> dict[str, Any]:
    """Verifies the fresh rows, replaces the date in all tables, compares them with what was to be published, and
    records it.

    :param fresh: what the insert of each table has handed on.
    :param selected: the teams that are selected now: others are left out, whatever was staged of them. None: all are.
    :returns: what was published: sessions, pageviews and teams, and ``build``, the name of this publishing.
    :raises VerificationFailed: of some teams the fresh rows differ from the stage, or the stage from the source although
        it was filled anew. What was published before of these teams is as it was; the others are published.
    :raises PublishedDiffers: a table does not hold what was published; the day is inconsistent.
    :raises LockLost: the date is another run's or a newer try's.
    :raises StagedByAnotherVersion: the package was replaced since the date was staged.
    """
    build.check_version()
    with attempt(clickhouse, task, build.partition_date) as logged, owned(build.partition_date):
        made, own = locks.begin(clickhouse, build.lock, task, PUBLISH, [build.staged.teams, *fresh])
        handed_on = build.staged
        day = Day(
            made,
            Staged(own["teams"], handed_on.events, handed_on.repeated, handed_on.visits, handed_on.sessions),
            {table: own[fresh_thing(table)] for table in BUILT_TABLES},
        )
        summarised = day
        summary, not_selected = _summary(clickhouse, day, selected)
        if not_selected:
            log.info(
                "%s: %d teams are no longer selected and left out.", day.lock.partition_date, not_selected
            )
            day = _staged_anew(clickhouse, settings, _of_selected(clickhouse, day, selected))
        day, left_out = _verified(clickhouse, settings, day)
        publish_day(clickhouse, task, day)
        if day != summarised:
            summary, _ = _summary(clickhouse, day)
        logged.details = {**summary, "build": day.publishing}
        logged.team_count = logged.details["teams"]
        if left_out:
            raise VerificationFailed(
                _about(day.lock.partition_date, left_out, "the other teams are published")
            )
    return logged.details


@dataclass(frozen=True)
class Day:
    """A day that one try of publishing owns.

    :ivar fresh: the rows that take the place of the teams' rows, by table.
    """

    made: Try
    staged: Staged
    fresh: Mapping[PreAggregatedTable, str]

    @property
    def lock(self) -> Lock:
        return self.made.lock

    @property
    def day(self) -> dict[str, Any]:
        return day_of(self.lock)

    @property
    def publishing(self) -> str:
        """Names this publishing in the ledger: equal in all tables once it is whole."""
        return f"{self.lock.token}-{self.made.token}"


@dataclass(frozen=True)
class Assembled:
    """A day as it will be published.

    :ivar clone: the table of this try that holds it; empty where the target neither has nor gets rows.
    :ivar replaces: whether the target has rows now.
    """

    clone: str
    replaces: bool


def publish_day(clickhouse: ClickHouse, task: TaskIdentity, day: Day, recorded_as: str | None = None) -> None:
    """Assembles the day of each table aside, replaces it by one statement, compares and records.

    The ledger changes for one table before and for the others after the day is replaced and compared: wherever this
    breaks off, the entries name different publishings, and the detector sees an inconsistent day.

    :param recorded_as: the build in the ledger; by default the name of this publishing.
    """
    assembled = assemble(clickhouse, day)
    build = day.publishing if recorded_as is None else recorded_as
    first_table, *other_tables = BUILT_TABLES
    record(clickhouse, task, day, first_table, build)
    locks.check_held(clickhouse, day.lock)
    for table in BUILT_TABLES:
        replace_partition(clickhouse, day.lock, table, assembled[table])
    if any(each.replaces for each in assembled.values()):
        await_removal(clickhouse, day.lock)
    compare_published(clickhouse, day, assembled)
    for table in other_tables:
        record(clickhouse, task, day, table, build)


def release(clickhouse: ClickHouse, build: Build) -> None:
    """Drops the tables and the lock of a build; harmless when repeated, after the lock was lost, and where a newer try
    has begun the date anew."""
    locks.release(clickhouse, build.lock, build.staged_by)


def release_if_owned(clickhouse: ClickHouse, task: TaskIdentity, partition_date: date) -> None:
    """Releases whatever this run holds of a date, for a stage that failed for good."""
    held = locks.find(clickhouse, partition_date)
    if held is not None and held.lock.owner == Owner.of(task):
        locks.release(clickhouse, held.lock, f"{STAGE}{task.try_number}_failed")


def build_partition(
    clickhouse: ClickHouse,
    settings: Settings,
    partition_date: date,
    team_ids: Iterable[int],
    run_id: str = "",
) -> dict[str, Any]:
    """All steps of one date one after the other, for use outside a DAG.

    :param run_id: names the build in ledger and log; each call is a run of its own all the same.
    """
    task = TaskIdentity(run_id=run_id or "local", deployment=f"local-{secrets.token_hex(6)}")
    build = stage(clickhouse, settings, task, partition_date, team_ids)
    try:
        fresh = [insert(clickhouse, task, build, table) for table in BUILT_TABLES]
        return publish(clickhouse, settings, task, build, fresh)
    finally:
        release(clickhouse, build)


def fresh_thing(table: PreAggregatedTable) -> str:
    return f"fresh_{table.short_name}"


def create_like_target(clickhouse: ClickHouse, name: str, table: PreAggregatedTable) -> None:
    names: sql.Names = {"table": name, "target": table.name}
    if clickhouse.placement.topology.replicated:
        keys = clickhouse.query("schema/table_keys", {"table_name": table.name})[0]
        names |= {key: keys[key].split(", ") for key in ("primary_key", "sorting_key")}
    clickhouse.run("build/create_like_target", names=names)


def create_teams(clickhouse: ClickHouse, teams: str, team_ids: Iterable[int]) -> None:
    """A list of teams as a table, since it takes part in statements that no data can be sent along with."""
    clickhouse.run("build/create_build_teams", names={"build_teams": teams})
    clickhouse.run(
        "build/fill_build_teams",
        names={"build_teams": teams},
        external_tables=[teams_table(team_ids)],
    )


def create_empty_build(clickhouse: ClickHouse, made: Try, team_ids: Iterable[int]) -> tuple[Build, list[str]]:
    """A build of these teams without any rows: published, it deletes them from the day.

    :returns: the build, and what an insert would have handed on.
    """

    def create_anew() -> tuple[Build, list[str]]:
        anew = made.again()
        staged = Staged.of(anew)
        create_teams(clickhouse, staged.teams, team_ids)
        clickhouse.run("build/create_visits", names={"visits": staged.visits})
        fresh = [anew.table(fresh_thing(table)) for table in BUILT_TABLES]
        for name, table in zip(fresh, BUILT_TABLES, strict=True):
            create_like_target(clickhouse, name, table)
        return Build(made.lock, anew.name), fresh

    return clickhouse.repeat(create_anew)


def _fill_stage(clickhouse: ClickHouse, settings: Settings, lock: Lock, staged: Staged) -> None:
    """Creates and fills everything but the list of teams."""
    names = {
        "build_teams": staged.teams,
        "events": staged.events,
        "repeated": staged.repeated,
        "visits": staged.visits,
        "sessions": staged.sessions,
        "bucket_minutes": settings.bucket_minutes,
    }
    before = clickhouse.query("build/read_before_staging", {"source": settings.source})[0]
    clickhouse.run("build/create_events", names={"events": staged.events})
    clickhouse.run("build/create_repeated", names={"repeated": staged.repeated})
    clickhouse.run("build/create_visits", names={"visits": staged.visits})
    clickhouse.run("build/create_sessions", names={"sessions": staged.sessions})
    clickhouse.run("build/fill_events", day_of(lock), names, heavy=True)
    clickhouse.run("build/fill_repeated", names=names, heavy=True)
    clickhouse.run("build/fill_visits", names=names, heavy=True)
    day = DateRange(lock.partition_date, lock.partition_date + ONE_DAY)
    source_activity.record_read(clickhouse, settings, day, before["scan_at"], names)
    clickhouse.run(
        "build/fill_sessions",
        day_of(lock),
        {**names, "has_person_overrides": bool(before["has_person_overrides"])},
        heavy=True,
    )


def _fill_fresh(clickhouse: ClickHouse, staged: Staged, fresh: str, table: PreAggregatedTable) -> None:
    create_like_target(clickhouse, fresh, table)
    clickhouse.run(
        f"build/insert_{table.short_name}",
        names={"fresh": fresh, "sessions": staged.sessions},
        heavy=True,
    )


def _of_selected(clickhouse: ClickHouse, day: Day, selected: Collection[int]) -> Day:
    """The day with a list of those of its teams that are still selected."""

    def list_anew() -> str:
        teams = day.made.again().table("selected")
        clickhouse.run("build/create_build_teams", names={"build_teams": teams})
        clickhouse.run(
            "build/fill_selected_teams",
            names={"build_teams": day.staged.teams, "selected": teams},
            external_tables=[teams_table(selected)],
        )
        return teams

    return replace(day, staged=replace(day.staged, teams=clickhouse.repeat(list_anew)))


def _staged_anew(clickhouse: ClickHouse, settings: Settings, day: Day) -> Day:
    """The day staged and aggregated once more, by tables of this try."""

    def stage_anew() -> Day:
        anew = day.made.again()
        staged = Staged.of(anew, day.staged.teams)
        _fill_stage(clickhouse, settings, day.lock, staged)
        # Not the thing that a further try takes over: that one begins from what was handed on.
        fresh = {table: anew.table(f"again_{table.short_name}") for table in BUILT_TABLES}
        for table, name in fresh.items():
            _fill_fresh(clickhouse, staged, name, table)
        return Day(day.made, staged, fresh)

    return clickhouse.repeat(stage_anew)


def _verified(clickhouse: ClickHouse, settings: Settings, day: Day) -> tuple[Day, list[dict[str, Any]]]:
    """The day as it may be published: as the source is now, staged once more where it has moved on, and without the
    teams that differ all the same.

    :returns: the day, and what differs of the teams that were left out.
    :raises VerificationFailed: no team is left.
    """
    if moved_on := _source_differences(clickhouse, settings, day):
        log.info(
            "%s: the source has moved on for %d teams; staging once more",
            day.lock.partition_date,
            len({each["team_id"] for each in moved_on}),
        )
        day = _staged_anew(clickhouse, settings, day)
        moved_on = _source_differences(clickhouse, settings, day)
    differences = moved_on + _fresh_differences(clickhouse, day)
    if not differences:
        return day, []
    left_out = [teams_table(each["team_id"] for each in differences)]
    rest = clickhouse.query(
        "build/count_left_out", names={"build_teams": day.staged.teams}, external_tables=left_out
    )[0]["teams"]
    if not rest:
        raise VerificationFailed(_about(day.lock.partition_date, differences, "nothing was published"))
    day = _without(clickhouse, day, left_out)
    # Of these teams nothing differed before, but their rows are copies now.
    if of_copies := _fresh_differences(clickhouse, day):
        raise VerificationFailed(_about(day.lock.partition_date, of_copies, "nothing was published"))
    return day, differences


def _about(partition_date: date, differences: list[dict[str, Any]], outcome: str) -> str:
    """The sentence about the teams that differ; the first difference stands for all."""
    first = differences[0]
    team, found, expected = first["team_id"], f"{first['found']} {first['measure']}", first["expected"]
    if "table_name" in first:
        what = f"the new rows of {first['table_name']} for team {team} hold {found}, the staged sessions {expected}"
        advice = ""
    else:
        what = f"the staged sessions of team {team} hold {found}, the source {expected}, although they were staged twice"
        advice = " If events of this day are still arriving, run again later."
    teams = sorted({each["team_id"] for each in differences})
    named = ", ".join(map(str, teams[:NAMED_TEAMS]))
    if len(teams) > NAMED_TEAMS:
        named += f" and {len(teams) - NAMED_TEAMS} more"
    return f"{partition_date}: {what}; {outcome}. Teams left out: {named}.{advice}"


def _without(clickhouse: ClickHouse, day: Day, left_out: list[dict[str, Any]]) -> Day:
    """The day without the rows of some of its teams, by tables of this try.

    :param left_out: these teams as an external table.
    """

    def copy_anew() -> Day:
        anew = day.made.again()
        teams = anew.table("rest")
        clickhouse.run("build/create_build_teams", names={"build_teams": teams})
        clickhouse.run(
            "build/fill_rest_of_teams",
            names={"build_teams": day.staged.teams, "selected": teams},
            external_tables=left_out,
        )
        fresh = {table: anew.table(f"rest_{table.short_name}") for table in BUILT_TABLES}
        for table, name in fresh.items():
            create_like_target(clickhouse, name, table)
            clickhouse.run(
                "build/copy_teams", names={"clone": name, "fresh": day.fresh[table], "build_teams": teams}
            )
        return replace(day, staged=replace(day.staged, teams=teams), fresh=fresh)

    return clickhouse.repeat(copy_anew)


def _fresh_differences(clickhouse: ClickHouse, day: Day) -> list[dict[str, Any]]:
    return clickhouse.query(
        "build/compare_fresh_with_sessions",
        names={
            "build_teams": day.staged.teams,
            "sessions": day.staged.sessions,
            "fresh_stats": day.fresh[STATS],
            "fresh_bounces": day.fresh[BOUNCES],
            "stats": STATS.name,
            "bounces": BOUNCES.name,
        },
        heavy=True,
    )


def _source_differences(clickhouse: ClickHouse, settings: Settings, day: Day) -> list[dict[str, Any]]:
    return clickhouse.query(
        "build/compare_stage_with_source",
        day.day,
        {
            "build_teams": day.staged.teams,
            "events": day.staged.events,
            "repeated": day.staged.repeated,
            "sessions": day.staged.sessions,
            "bucket_minutes": settings.bucket_minutes,
        },
        heavy=True,
    )


def assemble(clickhouse: ClickHouse, day: Day) -> dict[PreAggregatedTable, Assembled]:
    """Puts the day together as it will be published: the target's rows of other teams and the fresh rows."""
    clickhouse.sync(*(table.name for table in BUILT_TABLES))
    stored = clickhouse.query(
        "build/count_stored_rows",
        day.day,
        {
            "targets": [table.name for table in BUILT_TABLES],
            "fresh_tables": [day.fresh[table] for table in BUILT_TABLES],
            "build_teams": day.staged.teams,
        },
    )
    of_table = {row["table_name"]: row for row in stored}
    return {table: _assemble_table(clickhouse, day, table, of_table[table.name]) for table in BUILT_TABLES}


def _assemble_table(
    clickhouse: ClickHouse, day: Day, table: PreAggregatedTable, stored: Mapping[str, int]
) -> Assembled:
    """:param stored: the rows that are kept, that are replaced, and that are fresh."""
    fresh = day.fresh[table]
    replaces = bool(stored["kept"] or stored["replaced"])
    if not stored["kept"] and (stored["fresh"] or not replaces):
        # The fresh rows are the day, or nothing was there and nothing comes.
        return Assembled(fresh if stored["fresh"] else "", replaces)

    def assemble_anew() -> str:
        clone = day.made.again().table(f"clone_{table.short_name}")
        create_like_target(clickhouse, clone, table)
        # A day of which no row remains is replaced by its own rows, all of them masked: a statement that names no
        # table of this try could not be fenced, and a day without parts cannot be replaced.
        attach_partition(clickhouse, day.lock, clone, table.name)
        # Masking rows costs as much as writing them: where all rows are of other teams, there are none to mask.
        if stored["replaced"]:
            clickhouse.run(
                "build/delete_build_teams", names={"clone": clone, "build_teams": day.staged.teams}
            )
        attach_partition(clickhouse, day.lock, clone, fresh)
        return clone

    clone = clickhouse.repeat(assemble_anew)
    _compare_clone(clickhouse, day, table, clone)
    return Assembled(clone, replaces)


def attach_partition(clickhouse: ClickHouse, lock: Lock, table: str, source_table: str) -> None:
    clickhouse.run(
        "build/attach_partition",
        {"partition_id": partition_id(lock.partition_date)},
        {"table": table, "source_table": source_table},
    )


def _compare_clone(clickhouse: ClickHouse, day: Day, table: PreAggregatedTable, clone: str) -> None:
    differences = clickhouse.query(
        "build/compare_clone",
        day.day,
        {
            "target": table.name,
            "fresh": day.fresh[table],
            "clone": clone,
            "build_teams": day.staged.teams,
        },
        heavy=True,
    )
    if differences:
        first = differences[0]
        raise VerificationFailed(
            f"{day.lock.partition_date}: the assembled day of {table.name} holds {first['found_pageviews']} pageviews "
            f"of team {first['team_id']} instead of {first['expected_pageviews']}; nothing was published."
        )


def replace_partition(
    clickhouse: ClickHouse, lock: Lock, table: PreAggregatedTable, assembled: Assembled
) -> None:
    """The only statement that changes a target. It names a table of this try: once that is gone, it fails.

    Where a replica is dead, it ends with an error after the others have replaced the partition; the dead one takes it from
    Keeper when it is back. Whether this node has, :func:`compare_published` sees.
    """
    if not assembled.clone:
        return
    try:
        clickhouse.run(
            "build/replace_partition",
            {"partition_id": partition_id(lock.partition_date)},
            {"target": table.name, "clone": assembled.clone},
        )
    except QueryFailed as failure:
        if failure.code != NOT_ON_ALL_REPLICAS:
            raise
        log.warning(
            "%s: a replica of %s is not active and has to catch up: %s",
            lock.partition_date,
            table.name,
            failure,
        )


def await_removal(clickhouse: ClickHouse, lock: Lock) -> None:
    """Waits until the parts that were replaced are gone from the disk, where a restart would bring them back."""
    if not clickhouse.brings_back_replaced_parts:
        return
    deadline = time.monotonic() + PARTS_ARE_GONE_WITHIN.total_seconds()
    parameters = {
        "partition_id": partition_id(lock.partition_date),
        "tables": [table.name for table in BUILT_TABLES],
    }
    while remaining := clickhouse.query("build/count_replaced_parts", parameters)[0]["parts"]:
        if time.monotonic() > deadline:
            log.warning(
                "%s: %d replaced parts are still there; a restart of ClickHouse within the next minutes may bring them "
                "back, which the nightly run would find.",
                lock.partition_date,
                remaining,
            )
            return
        time.sleep(PARTS_POLL_SECONDS)


def compare_published(
    clickhouse: ClickHouse, day: Day, assembled: Mapping[PreAggregatedTable, Assembled]
) -> None:
    """:raises PublishedDiffers: a target does not hold what was assembled for it."""
    rows = clickhouse.query(
        "build/list_part_hashes",
        {
            "partition_id": partition_id(day.lock.partition_date),
            "tables": [
                name for table, each in assembled.items() for name in (table.name, each.clone) if name
            ],
        },
    )
    hashes = {row["table"]: row["hashes"] for row in rows}
    for table, each in assembled.items():
        # The same parts are the same rows. Otherwise the engine has merged some meanwhile, or somebody has written.
        if not each.clone or hashes.get(table.name) == hashes.get(each.clone):
            continue
        differences = clickhouse.query(
            "build/compare_published", day.day, {"target": table.name, "clone": each.clone}, heavy=True
        )
        if differences:
            first = differences[0]
            raise PublishedDiffers(
                f"{day.lock.partition_date}: {table.name} holds {first['found_pageviews']} pageviews of team "
                f"{first['team_id']} right after {first['expected_pageviews']} were published: something else writes "
                "to it. The day is inconsistent until it is built again."
            )


def record(
    clickhouse: ClickHouse,
    task: TaskIdentity,
    day: Day,
    table: PreAggregatedTable,
    build: str,
    stored_in: str | None = None,
) -> None:
    """Writes the ledger entry of each of the build's teams.

    :param build: names the publishing; empty for a day that counts as never built.
    :param stored_in: a table with what is stored of them on this day; by default the fresh rows.
    """
    clickhouse.run(
        "build/record_in_ledger",
        {
            "table_name": table.name,
            "partition_date": day.lock.partition_date,
            "build": build,
            "dag_id": task.dag_id,
            "run_id": task.run_id,
            "query_id": f"{task.origin}:",
        },
        {
            "build_teams": day.staged.teams,
            "visits": day.staged.visits,
            "fresh": stored_in or day.fresh[table],
        },
    )


def _summary(
    clickhouse: ClickHouse, day: Day, selected: Collection[int] | None = None
) -> tuple[dict[str, int], int]:
    """:param selected: None: all teams are.
    :returns: the numbers of teams, sessions and pageviews that are staged, and how many teams of the build are not selected.
    """
    summary = clickhouse.query(
        "build/summarise_sessions",
        names={
            "sessions": day.staged.sessions,
            "build_teams": day.staged.teams,
            "all_are_selected": selected is None,
        },
        external_tables=[] if selected is None else [teams_table(selected)],
    )[0]
    not_selected = summary.pop("left_out")
    return summary, not_selected
