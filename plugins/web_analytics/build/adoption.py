"""Takes over days that another system has written: what is exactly what the raw events say gets a ledger entry,
as if it had been built here; everything else stays an orphan, which a backfill builds again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import date

from web_analytics import validation
from web_analytics.build import locks, steps
from web_analytics.build.locks import Owner, RunActivity
from web_analytics.build.steps import Build
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import partition_id
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, STATS, TABLES
from web_analytics.teams.selection import TeamSelection

log = logging.getLogger(__name__)


def adopt_day(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Collection[int],
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> list[int]:
    """Records the teams of a day that have rows in both tables, no ledger entry, and exactly the right numbers.

    :returns: the adopted teams.
    :raises LockHeld: a run is building this date.
    """
    owner = Owner(task.dag_id, task.run_id)
    made = Build(locks.acquire(clickhouse, partition_date, owner, ttl=settings.lock_ttl, activity=activity))
    try:
        locks.drop_all_build_tables(clickhouse, made.lock)
        unrecorded = [
            row["team_id"]
            for row in clickhouse.query(
                "build/list_unrecorded_teams",
                made.day,
                {"stats": STATS.name, "bounces": BOUNCES.name},
                external_tables=[TeamSelection(frozenset(team_ids)).as_external_table()],
            )
        ]
        if not unrecorded:
            return []
        # Before anything is compared: an event that arrives later makes the day stale.
        steps.create_tables(clickhouse, made)
        steps.fill_build_teams(clickhouse, made, unrecorded)
        clickhouse.run(
            "build/fill_adopted_visits",
            made.day,
            {
                "build_teams": made.build_teams,
                "visits": made.visits,
                "bucket_minutes": settings.bucket_minutes,
            },
            heavy=True,
        )
        compared = validation.check_day(clickhouse, settings, partition_date, unrecorded)
        adopted = sorted(set(unrecorded) - set(compared.team_ids))
        if not adopted:
            return []
        clickhouse.run("build/keep_adopted_teams", {"team_ids": adopted}, {"build_teams": made.build_teams})
        for table in TABLES:
            of_the_day = made.clone(table)
            clickhouse.run(
                "build/attach_partition",
                {"partition_id": partition_id(partition_date)},
                {"table": of_the_day, "source_table": table.name},
            )
            steps.record(clickhouse, task, made, table, stored_in=of_the_day)
        return adopted
    finally:
        steps.release(clickhouse, made)
