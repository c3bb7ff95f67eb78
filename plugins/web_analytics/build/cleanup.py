"""Deletes one team's rows of a date by the way every build publishes: under the date's lock, assembled aside,
replaced in one step. Readers see the day with the team or without it, and all other teams unchanged."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from web_analytics.build import locks, steps
from web_analytics.build.locks import PUBLISH, Owner, RunActivity
from web_analytics.build.steps import Build, Day
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES
from web_analytics.teams import registry
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)


class CleanupFailed(RuntimeError):
    """What the tables hold is not what a cleanup should have left."""

    code = "cleanup_failed"


class ApprovalOutdated(RuntimeError):
    """What would be deleted is no longer what was shown to the person who approved."""

    code = "approval_outdated"


@dataclass(frozen=True)
class StoredDay:
    """What one table holds of the team on one day."""

    table_name: str
    day: str
    row_count: int
    pageviews: int


def stored_days(clickhouse: ClickHouse, team_id: int, dates: DateRange) -> list[StoredDay]:
    """What a cleanup deletes, newest day first."""
    found = [
        StoredDay(table.name, row["day"].isoformat(), row["row_count"], row["pageviews"])
        for table in BUILT_TABLES
        for row in clickhouse.query(
            "build/count_team_rows",
            {"team_id": team_id, "date_start": dates.start, "date_end": dates.end},
            {"table": table.name},
        )
    ]
    return sorted(found, key=lambda each: (each.day, each.table_name), reverse=True)


def describe(stored: Sequence[StoredDay]) -> str:
    """An aligned table with a line of totals for each table."""
    rows = [(each.day, each.table_name, each.row_count, each.pageviews) for each in stored]
    for table in BUILT_TABLES:
        of_table = [each for each in stored if each.table_name == table.name]
        totals = sum(each.row_count for each in of_table), sum(each.pageviews for each in of_table)
        rows.append((f"{len(of_table)} days", table.name, *totals))
    return text_table(("date", "table", "rows", "pageviews"), rows)


def fingerprint_others(
    clickhouse: ClickHouse, team_id: int, partition: dict[str, Any]
) -> dict[str, dict[str, int]]:
    """What both tables hold of all other teams, by table name."""
    return {
        table.name: clickhouse.query(
            "build/fingerprint_other_teams", {"team_id": team_id, **partition}, {"table": table.name}
        )[0]
        for table in BUILT_TABLES
    }


def prepare(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_id: int,
    activity: Callable[[Owner], RunActivity] = lambda owner: RunActivity.UNKNOWN,
) -> tuple[Build, list[str]]:
    """Takes the date's lock and creates an empty build of the one team.

    :returns: the build and its empty fresh tables.
    :raises LockHeld: another run works on this date.
    """
    made = steps.begin(clickhouse, settings, task, partition_date, activity)
    with steps.owned(partition_date):
        return steps.create_empty_build(clickhouse, made, [team_id])


def publish(
    clickhouse: ClickHouse,
    task: TaskIdentity,
    emptied: Build,
    fresh: Sequence[str],
    team_id: int,
    approved: Collection[StoredDay],
) -> dict[str, int]:
    """Replaces the date in both tables by itself without the team, and notes that it is not built.

    :param emptied: what :func:`prepare` has made; fresh: its empty tables.
    :param approved: what a person saw of this date and agreed to delete.
    :returns: how many other teams each table holds, all unchanged.
    :raises ApprovalOutdated: the tables hold other rows of the team than those; nothing was deleted.
    :raises CleanupFailed: other teams changed meanwhile, which the lock and the verified clone rule out.
    :raises StagedByAnotherVersion: the package was replaced since the date was prepared.
    """
    emptied.check_version()
    with steps.owned(emptied.partition_date):
        made, own = locks.begin(clickhouse, emptied.lock, task, PUBLISH, [emptied.staged.teams, *fresh])
        dates = DateRange(emptied.partition_date, emptied.partition_date + ONE_DAY)
        # An earlier try may have emptied a table already.
        unseen = [each for each in stored_days(clickhouse, team_id, dates) if each not in approved]
        if unseen:
            raise ApprovalOutdated(
                f"{emptied.partition_date}: {unseen[0].table_name} holds {unseen[0].row_count} rows of team {team_id}, "
                f"{unseen[0].pageviews} pageviews, other than what was approved; nothing of this date was deleted. "
                "Trigger the cleanup again."
            )
        before = fingerprint_others(clickhouse, team_id, emptied.day)
        day = Day(
            made,
            replace(emptied.staged, teams=own["teams"]),
            {table: own[steps.fresh_thing(table)] for table in BUILT_TABLES},
        )
        # Without a build the detector takes the day for one that was never built.
        steps.publish_day(clickhouse, task, day, recorded_as="")
        after = fingerprint_others(clickhouse, team_id, emptied.day)
    if before != after:
        raise CleanupFailed(
            f"{emptied.partition_date}: the rows of other teams changed while team {team_id} was deleted, "
            f"from {before} to {after}; something else writes to these tables. Validate this date."
        )
    return {name: each["teams"] for name, each in after.items()}


def disable(clickhouse: ClickHouse, team_id: int, changed_by: str, task: TaskIdentity = registry.API) -> bool:
    """Disables the team, in the name of who approved it, and makes it visible to queries at once.

    :returns: whether the team is in web_pre_aggregated_teams at all.
    :raises RegistryBusy: others are changing the registry; the team is as it was.
    """
    known = registry.read(clickhouse, team_id)
    if known is None:
        return False
    registry.change(clickhouse, known, {"enabled": False}, changed_by, task)
    registry.publish(clickhouse)
    return True
