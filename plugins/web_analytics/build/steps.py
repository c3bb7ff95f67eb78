"""Builds one date exactly once: lock, stage, insert, verify, publish, record, release (docs/semantics.md).

Each function is one step of a mapped task group and may be repeated at any time: it starts from what its
predecessor left and ends with the same rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from web_analytics.build import locks
from web_analytics.build.locks import Lock, Owner, RunActivity
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse, external_table
from web_analytics.clickhouse.history import TaskIdentity, attempt
from web_analytics.rules.partitions import ONE_DAY, partition_id
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, BUILT_TABLES, STATS, PreAggregatedTable

log = logging.getLogger(__name__)


class VerificationFailed(RuntimeError):
    """What was built is not what the source holds; nothing was published."""

    code = "verification_failed"


@dataclass(frozen=True)
class Build:
    """One build of one date, identified by the token of its lock."""

    lock: Lock

    @property
    def partition_date(self) -> date:
        return self.lock.partition_date

    @property
    def token(self) -> str:
        return self.lock.token

    @property
    def build_teams(self) -> str:
        return f"{self.lock.table_prefix}teams"

    @property
    def events(self) -> str:
        return f"{self.lock.table_prefix}events"

    @property
    def repeated(self) -> str:
        return f"{self.lock.table_prefix}repeated"

    @property
    def visits(self) -> str:
        return f"{self.lock.table_prefix}visits"

    @property
    def sessions(self) -> str:
        return f"{self.lock.table_prefix}sessions"

    def fresh(self, table: PreAggregatedTable) -> str:
        return f"{self.lock.table_prefix}fresh_{table.short_name}"

    def clone(self, table: PreAggregatedTable) -> str:
        return f"{self.lock.table_prefix}clone_{table.short_name}"

    @property
    def day(self) -> dict[str, Any]:
        """The parameters of every statement that reads this day."""
        return {"date_start": self.partition_date, "date_end": self.partition_date + ONE_DAY}

    def to_xcom(self) -> dict[str, str]:
        return {
            "partition_date": self.partition_date.isoformat(),
            "token": self.token,
            **asdict(self.lock.owner),
        }

    @classmethod
    def from_xcom(cls, value: dict[str, str]) -> Build:
        owner = Owner(value["dag_id"], value["run_id"])
        return cls(Lock(date.fromisoformat(value["partition_date"]), owner, value["token"]))


def stage(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Iterable[int],
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> Build:
    """Takes the lock of the date and fills its session staging table; the only step that creates tables.

    :param team_ids: the teams to build; their rows of this date are replaced, all others' are kept.
    :param activity: tells whether the run that holds the lock is still active.
    :raises LockHeld: another run is building this date.
    """
    lock = locks.acquire(
        clickhouse,
        partition_date,
        Owner(task.dag_id, task.run_id),
        ttl=settings.lock_ttl,
        activity=activity,
    )
    build, team_ids = Build(lock), set(team_ids)
    with attempt(clickhouse, task, partition_date) as made:
        locks.drop_all_build_tables(clickhouse, build.lock)
        create_tables(clickhouse, build)
        fill_build_teams(clickhouse, build, team_ids)
        _fill_sessions(clickhouse, settings, build)
        made.details = _summary(clickhouse, build)
        made.team_count = len(team_ids)
    return build


def insert(clickhouse: ClickHouse, task: TaskIdentity, build: Build, table: PreAggregatedTable) -> None:
    """Aggregates the staged sessions into a fresh table with the target's definition."""
    locks.renew(clickhouse, build.lock)
    with attempt(clickhouse, task, build.partition_date, table.name):
        _fill_fresh(clickhouse, build, table)


def publish(clickhouse: ClickHouse, settings: Settings, task: TaskIdentity, build: Build) -> dict[str, Any]:
    """Verifies the fresh rows, replaces the date in both tables and records it.

    :returns: what was published: sessions, pageviews and teams.
    :raises VerificationFailed: the fresh rows differ from the stage, or the stage from the source although it
        was filled anew; nothing was published.
    """
    locks.renew(clickhouse, build.lock)
    with attempt(clickhouse, task, build.partition_date) as made:
        verify(clickhouse, settings, build)
        for table in BUILT_TABLES:
            assemble_clone(clickhouse, build, table)
        # The ledger changes for one table before and for the other after the day is replaced: wherever this
        # is broken off, the two entries name different builds and the detector sees an inconsistent day.
        *first_tables, last_table = BUILT_TABLES
        for table in first_tables:
            record(clickhouse, task, build, table)
        locks.renew(clickhouse, build.lock)
        for table in BUILT_TABLES:
            replace_partition(clickhouse, build, table)
        record(clickhouse, task, build, last_table)
        made.details = _summary(clickhouse, build)
        made.team_count = made.details["teams"]
    return made.details


def release(clickhouse: ClickHouse, build: Build) -> None:
    """Drops the tables and the lock of a build; harmless when repeated and after the lock was lost."""
    locks.drop_build_tables(clickhouse, build.lock)
    locks.release(clickhouse, build.lock)


def release_if_owned(clickhouse: ClickHouse, task: TaskIdentity, partition_date: date) -> None:
    """Releases whatever this run holds of a date, for a stage that failed for good."""
    held = locks.find(clickhouse, partition_date)
    if held is not None and held.lock.owner == Owner(task.dag_id, task.run_id):
        release(clickhouse, Build(held.lock))


def build_partition(
    clickhouse: ClickHouse,
    settings: Settings,
    partition_date: date,
    team_ids: Iterable[int],
    run_id: str = "local",
) -> dict[str, Any]:
    """All steps of one date one after the other, for use outside a DAG."""
    task = TaskIdentity(run_id=run_id)
    build = stage(clickhouse, settings, task, partition_date, team_ids)
    try:
        for table in BUILT_TABLES:
            insert(clickhouse, task, build, table)
        return publish(clickhouse, settings, task, build)
    finally:
        release(clickhouse, build)


def create_tables(clickhouse: ClickHouse, build: Build) -> None:
    clickhouse.run("build/create_build_teams", names={"build_teams": build.build_teams})
    clickhouse.run("build/create_events", names={"events": build.events})
    clickhouse.run("build/create_repeated", names={"repeated": build.repeated})
    clickhouse.run("build/create_visits", names={"visits": build.visits})
    clickhouse.run("build/create_sessions", names={"sessions": build.sessions})
    for table in BUILT_TABLES:
        for name in (build.fresh(table), build.clone(table)):
            _create_like_target(clickhouse, name, table)


def _create_like_target(clickhouse: ClickHouse, name: str, table: PreAggregatedTable) -> None:
    names: sql.Names = {"table": name, "target": table.name}
    if clickhouse.topology != "single":
        keys = clickhouse.query("schema/table_keys", {"table_name": table.name})[0]
        names |= {key: keys[key].split(", ") for key in ("primary_key", "sorting_key")}
    clickhouse.run("build/create_like_target", names=names)


def fill_build_teams(clickhouse: ClickHouse, build: Build, team_ids: Iterable[int]) -> None:
    clickhouse.run(
        "build/fill_build_teams",
        names={"build_teams": build.build_teams},
        external_tables=[external_table("planned_teams", "team_id", "Int64", sorted(set(team_ids)))],
    )


def _fill_sessions(clickhouse: ClickHouse, settings: Settings, build: Build) -> None:
    names = {
        "build_teams": build.build_teams,
        "events": build.events,
        "repeated": build.repeated,
        "visits": build.visits,
        "sessions": build.sessions,
        "bucket_minutes": settings.bucket_minutes,
    }
    people_are_merged = clickhouse.query("source/has_person_overrides")[0]["has_person_overrides"]

    def fill() -> None:
        for table in (build.events, build.repeated, build.visits, build.sessions):
            clickhouse.run("build/truncate", names={"table": table})
        clickhouse.run("build/fill_events", build.day, names, heavy=True)
        clickhouse.run("build/fill_repeated", names=names, heavy=True)
        clickhouse.run("build/fill_visits", names=names, heavy=True)
        clickhouse.run(
            "build/fill_sessions",
            build.day,
            {**names, "has_person_overrides": bool(people_are_merged)},
            heavy=True,
        )

    clickhouse.repeat(fill)


def _fill_fresh(clickhouse: ClickHouse, build: Build, table: PreAggregatedTable) -> None:
    fresh = build.fresh(table)

    def fill() -> None:
        clickhouse.run("build/truncate", names={"table": fresh})
        clickhouse.run(
            f"build/insert_{table.short_name}",
            names={"fresh": fresh, "sessions": build.sessions},
            heavy=True,
        )

    clickhouse.repeat(fill)


def verify(clickhouse: ClickHouse, settings: Settings, build: Build) -> None:
    if moved_on := _source_differences(clickhouse, settings, build):
        log.info(
            "%s: the source has moved on for %d teams; staging once more",
            build.partition_date,
            len({each["team_id"] for each in moved_on}),
        )
        _fill_sessions(clickhouse, settings, build)
        for table in BUILT_TABLES:
            _fill_fresh(clickhouse, build, table)
        if moved_on := _source_differences(clickhouse, settings, build):
            first = moved_on[0]
            raise VerificationFailed(
                f"{build.partition_date}: the staged sessions of team {first['team_id']} hold {first['found']} "
                f"{first['measure']}, the source {first['expected']}, although they were staged twice; nothing was "
                "published. If events of this day are still arriving, run again later."
            )
    differences = clickhouse.query(
        "build/compare_fresh_with_sessions",
        names={
            "sessions": build.sessions,
            "fresh_stats": build.fresh(STATS),
            "fresh_bounces": build.fresh(BOUNCES),
            "stats": STATS.name,
            "bounces": BOUNCES.name,
        },
        heavy=True,
    )
    if differences:
        first = differences[0]
        raise VerificationFailed(
            f"{build.partition_date}: the new rows of {first['table_name']} for team {first['team_id']} hold "
            f"{first['found']} {first['measure']}, the staged sessions {first['expected']}; nothing was published."
        )


def _source_differences(clickhouse: ClickHouse, settings: Settings, build: Build) -> list[dict[str, Any]]:
    return clickhouse.query(
        "build/compare_stage_with_source",
        build.day,
        {
            "build_teams": build.build_teams,
            "events": build.events,
            "repeated": build.repeated,
            "sessions": build.sessions,
            "bucket_minutes": settings.bucket_minutes,
        },
        heavy=True,
    )


def assemble_clone(clickhouse: ClickHouse, build: Build, table: PreAggregatedTable) -> None:
    """Puts the day together as it will be published: the target's rows of other teams and the fresh rows."""
    clone = build.clone(table)
    partition = {"partition_id": partition_id(build.partition_date)}

    def assemble() -> None:
        clickhouse.run("build/truncate", names={"table": clone})
        stored = clickhouse.query(
            "build/count_stored_rows",
            build.day,
            {"target": table.name, "build_teams": build.build_teams},
        )[0]
        if stored["kept"]:
            clickhouse.run("build/attach_partition", partition, {"table": clone, "source_table": table.name})
        # Masking rows costs as much as writing them: a day that is new, or new as a whole, has none to mask.
        if stored["kept"] and stored["replaced"]:
            clickhouse.run(
                "build/delete_build_teams", names={"clone": clone, "build_teams": build.build_teams}
            )
        clickhouse.run(
            "build/attach_partition", partition, {"table": clone, "source_table": build.fresh(table)}
        )

    clickhouse.repeat(assemble)
    differences = clickhouse.query(
        "build/compare_clone",
        build.day,
        {
            "target": table.name,
            "fresh": build.fresh(table),
            "clone": clone,
            "build_teams": build.build_teams,
        },
        heavy=True,
    )
    if differences:
        first = differences[0]
        raise VerificationFailed(
            f"{build.partition_date}: the assembled day of {table.name} holds {first['found_pageviews']} pageviews "
            f"of team {first['team_id']} instead of {first['expected_pageviews']}; nothing was published."
        )


def replace_partition(clickhouse: ClickHouse, build: Build, table: PreAggregatedTable) -> None:
    partition = {"partition_id": partition_id(build.partition_date)}
    clone = build.clone(table)
    remaining = clickhouse.query("build/count_rows", build.day, {"table": clone})[0]["row_count"]
    if remaining:
        clickhouse.run("build/replace_partition", partition, {"target": table.name, "clone": clone})
    else:
        clickhouse.run("build/drop_partition", partition, {"target": table.name})


def record(
    clickhouse: ClickHouse,
    task: TaskIdentity,
    build: Build,
    table: PreAggregatedTable,
    stored_in: str | None = None,
) -> None:
    """Writes the ledger entry of each of the build's teams.

    :param stored_in: a table with what is stored of them on this day; by default the fresh rows.
    """
    clickhouse.run(
        "build/record_in_ledger",
        {
            "table_name": table.name,
            "partition_date": build.partition_date,
            "build": build.token,
            "dag_id": task.dag_id,
            "run_id": task.run_id,
            "query_id": f"{task.origin}:",
        },
        {
            "build_teams": build.build_teams,
            "visits": build.visits,
            "fresh": stored_in or build.fresh(table),
        },
    )


def _summary(clickhouse: ClickHouse, build: Build) -> dict[str, Any]:
    return clickhouse.query("build/summarise_sessions", names={"sessions": build.sessions})[0]
