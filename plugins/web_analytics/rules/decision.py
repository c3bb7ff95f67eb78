"""Decides whether a backfill is worth it, and which dates it builds. Pure functions of what was detected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from web_analytics.rules.partitions import closed_at
from web_analytics.rules.states import COMPLETE, GAP_KINDS, MISSING

NEWEST, LARGEST, MOST_QUERIED = "newest", "largest", "most_queried"
PRIORITIES = (NEWEST, LARGEST, MOST_QUERIED)


@dataclass(frozen=True)
class GapCount:
    """How many teams of one (table, partition) are in one state.

    :ivar source_pageviews: pageviews of these teams in the source on this day.
    :ivar priority_teams: how many of them go before others (WEB_ANALYTICS_PRIORITY_TEAM_IDS).
    """

    partition_date: date
    table_name: str
    state: str
    teams: int
    source_pageviews: int
    priority_teams: int = 0

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> GapCount:
        partition_date = row["partition_date"]
        if isinstance(partition_date, str):
            partition_date = date.fromisoformat(partition_date)
        return cls(
            partition_date,
            row["table_name"],
            row["state"],
            int(row["teams"]),
            int(row["source_pageviews"]),
            int(row.get("priority_teams", 0)),
        )


@dataclass(frozen=True)
class Rule:
    """The numbers that a decision depends on.

    :ivar min_missing_partitions: the ≥3 rule's threshold, in (table, partition) pairs.
    :ivar max_gap_age: a gap older than this is filled although the threshold is not reached.
    :ivar daily_build_date: the newest closed day in the 02:00 run; None in any other run.
    :ivar rebuild: build every detected date, whatever the other numbers say.
    :ivar kinds: the kinds of gap that were looked for; complete days too where a rebuild names none.
    :ivar priority: which dates go first: the newest, those with the largest number of pageviews waiting, or those that
        dashboards asked for most.
    :ivar questions: how often dashboards asked for the teams that have a gap on a date; of dates that they did not ask for
        there may be none.
    :ivar questions_unknown: why nobody can tell; the newest go first then. Empty where somebody can.
    :ivar nothing_closed: why no day of the range was looked at; empty where one was.
    """

    min_missing_partitions: int
    max_gap_age: timedelta
    settling: timedelta
    max_partitions: int
    daily_build_date: date | None = None
    rebuild: bool = False
    priority: str = NEWEST
    questions: Mapping[date, int] = field(default_factory=dict)
    questions_unknown: str = ""
    kinds: tuple[str, ...] = GAP_KINDS
    nothing_closed: str = ""


@dataclass(frozen=True)
class Decision:
    """What a run does and why.

    :ivar dates: what this run builds, in this order.
    :ivar dates_left: dates with gaps that the limit leaves to the next run.
    :ivar remark: of the reason, what whoever looks at the run should see although nothing has failed; becomes its note.
    """

    backfill: bool
    reason: str
    missing_partitions: int
    oldest_gap: date | None
    oldest_gap_age_hours: float
    dates: tuple[date, ...]
    dates_left: int
    remark: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "oldest_gap": self.oldest_gap.isoformat() if self.oldest_gap else None,
            "dates": [day.isoformat() for day in self.dates],
        }


def count_missing_partitions(gaps: Sequence[GapCount]) -> int:
    """The (table, partition) pairs in which at least one team is missing; only these count in the rule."""
    return len({(gap.table_name, gap.partition_date) for gap in gaps if gap.state == MISSING})


def in_order(
    gaps: Sequence[GapCount], priority: str, questions: Mapping[date, int] | None = None
) -> list[date]:
    """The dates of the gaps: first those of priority teams, then the newest, the largest or the most queried; of equal ones
    the newest."""
    asked = questions or {}
    waiting: dict[date, int] = {}
    of_priority_teams = set()
    for gap in gaps:
        # Both tables wait for the same pageviews.
        waiting[gap.partition_date] = max(waiting.get(gap.partition_date, 0), gap.source_pageviews)
        if gap.priority_teams:
            of_priority_teams.add(gap.partition_date)

    def rank(day: date) -> tuple:
        weight = {LARGEST: waiting[day], MOST_QUERIED: asked.get(day, 0)}.get(priority, 0)
        return day in of_priority_teams, weight, day

    return sorted(waiting, key=rank, reverse=True)


def decide(gaps: Sequence[GapCount], rule: Rule, now: datetime) -> Decision:
    """Applies the ≥3 rule, the maximum gap age and the daily build to what was detected.

    :param gaps: the gaps of the kinds that this run acts on (and complete days where it rebuilds).
    :param now: the instant the ages are counted to.
    """
    missing = count_missing_partitions(gaps)
    all_dates = in_order(gaps, rule.priority, rule.questions)
    oldest = min(all_dates, default=None)
    age = max(now - closed_at(oldest, rule.settling), timedelta()) if oldest else timedelta()
    counted = f"{missing} missing partition{'' if missing == 1 else 's'}"
    threshold = f"threshold {rule.min_missing_partitions}"
    limit_hours = _hours(rule.max_gap_age)

    dates: list[date] = []
    if rule.nothing_closed:
        reason = rule.nothing_closed
    elif rule.rebuild:
        dates = all_dates
        reason = _reason_of_rebuild(len(all_dates), rule.kinds)
    elif not all_dates:
        found = "the tables are complete" if set(rule.kinds) >= set(GAP_KINDS) else _no_day_is(rule.kinds)
        reason = f"0 missing partitions ({threshold}): {found}"
    elif missing >= rule.min_missing_partitions:
        dates = all_dates
        reason = f"{counted} reach the {threshold}"
    elif age > rule.max_gap_age:
        dates = all_dates
        reason = (
            f"{counted} ({threshold}), but the oldest gap, {oldest}, has waited {_hours(age)} h, longer than "
            f"{limit_hours} h"
        )
    elif rule.daily_build_date in {gap.partition_date for gap in gaps if gap.state == MISSING}:
        dates = [rule.daily_build_date]
        reason = f"{counted} ({threshold}), but the newest closed day, {dates[0]}, is built every day"
    else:
        reason = (
            f"{counted} stay below the {threshold}; the oldest gap, {oldest}, has waited {_hours(age)} h of at "
            f"most {limit_hours} h"
        )
    chosen = tuple(dates[: rule.max_partitions])
    if len(chosen) < len(dates):
        first = rule.priority.replace("_", " ")
        if rule.questions_unknown:
            first = f"{NEWEST} ({rule.questions_unknown})"
        if any(gap.priority_teams for gap in gaps):
            first += ", those of priority teams before others,"
        reason += f"; the {len(chosen)} {first} of {len(dates)} dates are built now"
    return Decision(
        backfill=bool(chosen),
        reason=reason,
        missing_partitions=missing,
        oldest_gap=oldest,
        oldest_gap_age_hours=round(age.total_seconds() / 3600, 1),
        dates=chosen,
        dates_left=len(dates) - len(chosen),
    )


def _reason_of_rebuild(dates: int, kinds: Sequence[str]) -> str:
    counted = f"{dates} date{'' if dates == 1 else 's'}"
    if COMPLETE in kinds:
        if not dates:
            return "nothing to rebuild: no team has events or rows in the range"
        return f"rebuild of an explicit range with data on {counted}"
    if not dates:
        return f"nothing to rebuild: {_no_day_is(kinds)}"
    return f"rebuild of {counted} of an explicit range: {' or '.join(kinds)}"


def _no_day_is(kinds: Sequence[str]) -> str:
    return f"no day is {' or '.join(kinds)}"


def _hours(duration: timedelta) -> str:
    return f"{duration.total_seconds() / 3600:.1f}".removesuffix(".0")
