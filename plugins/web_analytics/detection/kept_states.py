"""Keeps the states of months, so that they are looked at once and not by each who asks.

What was found in a month holds until something is written to one of the tables that the states depend on: a month is kept
together with what it was found in (``detection/read_versions.sql``) and by which settings. It is looked at again
after 30 days in any case, the newest month after one: its closed days are kept, and it changes with each run. Months that
changed since are looked at anew by whoever asks, and kept anew within the hour by ``web_analytics_health``.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from web_analytics import __version__
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.detection import activity
from web_analytics.detection.activity import KnownRange
from web_analytics.detection.coverage import CoverageQuery, coverage_query, in_pieces
from web_analytics.rules.partitions import DateRange, month_of, months
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES

# What the states depend on, beside the settings.
TABLE_NAMES = (
    "web_analytics_activity",
    "web_analytics_backfill_ledger",
    *(table.name for table in BUILT_TABLES),
)
# A range of up to so many days of so few teams is looked at whoever has looked before: it takes as long as to find out what
# is kept.
LOOKED_AT_ANYWAY_DAYS, LOOKED_AT_ANYWAY_TEAM_DAYS = 62, 60_000
# So long are the states of a month kept that is over, and of the newest one.
DAYS_KEPT, DAYS_KEPT_OF_NEWEST = 30, 1
# Teams are enabled one by one; of a month that lacks more of the teams than this share all are looked at.
NEW_TEAMS_SHARE = 0.1


@dataclass(frozen=True)
class KeptMonth:
    """A month of which states are kept.

    :ivar days: of those that were asked for the ones that are kept; the newest month grows.
    :ivar keep_id: under which the states are in ``web_analytics_kept_states``.
    :ivar new_teams: teams that were enabled since, so that nobody knows their states.
    """

    days: DateRange
    keep_id: str
    new_teams: frozenset[int]


def read_versions(clickhouse: ClickHouse) -> dict[int, int]:
    """A number for each month (YYYYMM) that is another one when something was written to it."""
    rows = clickhouse.query("detection/read_versions", {"table_names": TABLE_NAMES})
    return {row["month"]: row["version"] for row in rows}


def is_looked_at_anyway(days: DateRange, teams: int) -> bool:
    """Whether a page need not ask what is kept."""
    return len(days) <= LOOKED_AT_ANYWAY_DAYS and len(days) * teams <= LOOKED_AT_ANYWAY_TEAM_DAYS


def find(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    known: KnownRange,
    versions: Mapping[int, int] | None = None,
) -> list[KeptMonth]:
    """The months of a range of which states are kept that still hold, the oldest first.

    :param days: closed days only.
    :param versions: as :func:`read_versions` gives them, where the caller has read them.
    """
    if not team_ids or not activity.is_kept(settings):
        return []
    if versions is None:
        versions = read_versions(clickhouse)
    asked = {month_of(month.start): month for month in months(days)}
    current = [(month, versions[month]) for month in asked if month in versions]
    if not current:
        return []
    rows = clickhouse.query(
        "detection/list_kept_months",
        {"versions": current, "rules": rules_of(clickhouse, settings, known)},
        external_tables=[teams_table(team_ids)],
    )
    found = []
    for row in rows:
        kept = asked[month_of(row["date_start"])].intersect(DateRange(row["date_start"], row["date_end"]))
        new = frozenset(row["new_teams"])
        if kept and len(new) <= NEW_TEAMS_SHARE * len(team_ids):
            found.append(KeptMonth(kept, row["keep_id"], new))
    return found


def keep(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    known: KnownRange,
) -> list[DateRange]:
    """Looks at the months of a range whose states are not kept, or of which teams are new, and keeps them.

    :param days: closed days only, all of them known.
    :returns: the months that were looked at.
    """
    if not team_ids or not activity.is_kept(settings):
        return []
    # Before anything is looked at: what is written meanwhile makes what is kept worthless, and not wrong.
    versions, rules = read_versions(clickhouse), rules_of(clickhouse, settings, known)
    kept = {
        month.days
        for month in find(clickhouse, settings, days, team_ids, known, versions)
        if not month.new_teams
    }
    looked_at = [month for month in months(days) if month not in kept and month_of(month.start) in versions]
    for month in looked_at:
        keep_id = f"{month_of(month.start)}:{uuid.uuid4().hex}"
        is_over = month_of(month.end) != month_of(month.start)
        kept_for = {"keep_id": keep_id, "days_kept": DAYS_KEPT if is_over else DAYS_KEPT_OF_NEWEST}
        for piece in in_pieces(month, len(team_ids)):
            query = coverage_query(clickhouse, settings, piece, may_be_behind=True, known=known)
            clickhouse.run(
                "detection/keep_states",
                {**query.parameters, **kept_for, "gap_kinds": GAP_KINDS},
                query.names,
                external_tables=[teams_table(team_ids)],
                heavy=True,
            )
        clickhouse.run(
            "detection/record_kept_month",
            {
                **kept_for,
                "date_start": month.start,
                "date_end": month.end,
                "version": versions[month_of(month.start)],
                "rules": rules,
            },
            external_tables=[teams_table(team_ids)],
        )
    return looked_at


def rules_of(clickhouse: ClickHouse, settings: Settings, known: KnownRange) -> str:
    """A hash of all that decides on the states beside the tables' rows, which another version may judge otherwise."""
    day = DateRange(known.horizon, known.horizon)
    query = coverage_query(clickhouse, settings, day, may_be_behind=True, known=known)
    parts: dict[str, Any] = {**query.names, **query.parameters, "package": __version__}
    for of_range in ("date_start", "date_end", "is_short_range"):
        del parts[of_range]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def not_kept(
    days: DateRange, team_ids: Collection[int], kept: Sequence[KeptMonth]
) -> Iterator[tuple[DateRange, Collection[int]]]:
    """What of a range is still to be looked at beside the months that are kept, the oldest first: days, and teams.

    :param kept: as :func:`find` gives them.
    """
    start = days.start
    for month in kept:
        if start < month.days.start:
            yield DateRange(start, month.days.start), team_ids
        if new := month.new_teams.intersection(team_ids):
            yield month.days, new
        start = month.days.end
    if start < days.end:
        yield DateRange(start, days.end), team_ids


def ask_for(kept: Sequence[KeptMonth], days: DateRange, *, only_gaps: bool) -> CoverageQuery:
    """How a statement asks for the states that are kept (``detection/kept_states.sql``).

    :param only_gaps: leave teams out that have no gap in a month.
    """
    return CoverageQuery(
        parameters={
            "keep_ids": [month.keep_id for month in kept],
            "date_start": days.start,
            "date_end": days.end,
        },
        names={"from_kept": True, "only_gaps": only_gaps},
    )
