"""Takes over days that another system has written: what is exactly what the raw events say gets a ledger entry,
as if it had been built here; everything else stays an orphan, which a backfill builds again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date

from web_analytics import validation
from web_analytics.build import locks, steps
from web_analytics.build.locks import Owner, RunActivity
from web_analytics.build.steps import Day, Staged
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, STATS, TABLES

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
    made = steps.begin(clickhouse, settings, task, partition_date, activity)
    staged = Staged.of(made)
    day = Day(made, staged, {})
    try:
        with steps.owned(partition_date):
            unrecorded = [
                row["team_id"]
                for row in clickhouse.query(
                    "build/list_unrecorded_teams",
                    day.day,
                    {"stats": STATS.name, "bounces": BOUNCES.name},
                    external_tables=[teams_table(team_ids)],
                )
            ]
            if not unrecorded:
                return []
            # Before anything is compared: an event that arrives later makes the day stale.
            steps.create_teams(clickhouse, staged.teams, unrecorded)
            clickhouse.run("build/create_visits", names={"visits": staged.visits})
            clickhouse.run(
                "build/fill_adopted_visits",
                day.day,
                {
                    "build_teams": staged.teams,
                    "visits": staged.visits,
                    "bucket_minutes": settings.bucket_minutes,
                },
                heavy=True,
            )
            # The other system may go on writing. What is recorded is what was there before the comparison: if it is not what
            # was compared, the table does not hold what the ledger says, and the day is inconsistent.
            before = {table: made.table(f"clone_{table.short_name}") for table in TABLES}
            for table, of_the_day in before.items():
                steps.create_like_target(clickhouse, of_the_day, table)
                steps.attach_partition(clickhouse, made.lock, of_the_day, table.name)
            compared = validation.check_day(clickhouse, settings, partition_date, unrecorded)
            adopted = sorted(set(unrecorded) - set(compared.team_ids))
            if not adopted:
                return []
            of_adopted = replace(day, staged=replace(staged, teams=made.table("adopted")))
            steps.create_teams(clickhouse, of_adopted.staged.teams, adopted)
            for table, of_the_day in before.items():
                steps.record(clickhouse, task, of_adopted, table, day.publishing, stored_in=of_the_day)
            return adopted
    finally:
        locks.release(clickhouse, made.lock, made.name)
