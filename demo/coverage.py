"""Which days of which table are there: a table to read, newest day first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from web_analytics.rules.partitions import newest_first

TABLE_NAMES = ("stats", "bounces")


@dataclass(frozen=True)
class DayCoverage:
    """One day.

    :ivar is_open: it has not ended, or so lately that its events may still be on their way.
    :ivar teams: enabled teams with pageviews on that day.
    :ivar present: of how many of them each table has rows.
    """

    day: date
    is_open: bool
    teams: int
    present: Mapping[str, int]

    def missing(self, table: str) -> int:
        return 0 if self.is_open else self.teams - self.present[table]

    def state(self, table: str) -> str:
        if self.is_open:
            return "open"
        if not self.teams:
            return "idle"
        if not self.missing(table):
            return "complete"
        return "partial" if self.present[table] else "MISSING"


def cover(
    days: Iterable[date],
    newest_closed: date,
    expected: Iterable[Mapping[str, Any]],
    stored: Mapping[str, Iterable[Mapping[str, Any]]],
) -> list[DayCoverage]:
    """The coverage of each day, newest first.

    :param expected: rows of validation/oracle_posthog of the enabled teams.
    :param stored: rows of validation/oracle_stored_<table>, by short table name.
    """
    source = {(row["day"], row["team_id"]) for row in expected if row["pageviews"]}
    present = {table: {(row["day"], row["team_id"]) for row in rows} for table, rows in stored.items()}
    return [
        DayCoverage(
            day,
            day > newest_closed,
            sum(of_day == day for of_day, _ in source),
            {table: sum(of_day == day for of_day, _ in source & keys) for table, keys in present.items()},
        )
        for day in newest_first(days)
    ]


def describe(covered: Sequence[DayCoverage]) -> str:
    """The table as text, at most 100 columns wide, with a line of totals."""
    lines = [
        "                            web_pre_aggregated_stats            web_pre_aggregated_bounces",
        "day           teams      present  missing  state              present  missing  state",
    ]
    for each in covered:
        cells = "".join(
            f"{_count(each, each.present[table]):>12}{_count(each, each.missing(table)):>9}  {each.state(table):<10}"
            for table in TABLE_NAMES
        )
        lines.append(f"{each.day}{_count(each, each.teams):>9} {cells}".rstrip())
    missing = {table: [each for each in covered if each.missing(table)] for table in TABLE_NAMES}
    dates = {each.day for days in missing.values() for each in days}
    pairs = sum(len(days) for days in missing.values())
    teams = sum(each.missing(table) for table, days in missing.items() for each in days)
    lines.append(
        f"{len(dates)} dates with something missing; {pairs} (table, date) pairs; "
        f"{teams} (table, date, team) triples."
        if dates
        else "Nothing is missing."
    )
    return "\n".join(lines)


def _count(each: DayCoverage, number: int) -> str:
    return "-" if each.is_open else str(number)
