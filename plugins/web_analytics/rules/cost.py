"""What building dates will cost, and how many of them a run may build. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from web_analytics.rules.decision import Decision

# A date is judged by so many earlier ones that were nearest to it in size: for a small one what counts is what every
# build costs, for a large one its events.
NEAREST = 10
# How often a build reads the source, checks included: holds until one was measured.
READINGS = 4


@dataclass(frozen=True)
class Cost:
    """What building a date takes, or took: all statements of all its steps, also of tries that failed.

    :ivar rows: rows read in ClickHouse.
    :ivar bytes: uncompressed bytes read; None where nothing tells them yet.
    :ivar seconds: of the steps added up, whether or not they ran beside each other; None as with bytes.
    """

    rows: int
    bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class BuiltDate:
    """A date that was built.

    :ivar source_rows: what was told of its size before: rows of the source, by its primary key.
    """

    source_rows: int
    cost: Cost


def estimate(source_rows: int, earlier: Sequence[BuiltDate]) -> Cost:
    """What a date of this size will cost, going by the earlier ones that are nearest in size."""
    sized = [each for each in earlier if each.source_rows > 0]
    near = sorted(sized, key=lambda each: abs(math.log(each.source_rows / max(source_rows, 1))))[:NEAREST]
    if not near:
        return Cost(READINGS * source_rows)
    per_row = source_rows / sum(each.source_rows for each in near)
    return Cost(
        rows=round(per_row * sum(each.cost.rows for each in near)),
        bytes=round(per_row * sum(each.cost.bytes or 0 for each in near)),
        seconds=per_row * sum(each.cost.seconds or 0.0 for each in near),
    )


def total(costs: Sequence[Cost]) -> Cost:
    """All of them together; what is unknown of one is unknown of all."""
    sizes, seconds = [each.bytes for each in costs], [each.seconds for each in costs]
    return Cost(
        rows=sum(each.rows for each in costs),
        bytes=None if None in sizes else sum(sizes),
        seconds=None if None in seconds else math.fsum(seconds),
    )


def within_budget(decision: Decision, estimates: Mapping[date, Cost], max_rows: int) -> Decision:
    """The decision with as many of its dates as the budget holds, see :func:`held_by_budget`."""
    dates, remark = held_by_budget(decision.dates, estimates, max_rows)
    if not remark:
        return decision
    return replace(
        decision,
        reason=f"{decision.reason}; {remark}",
        dates=dates,
        dates_left=decision.dates_left + len(decision.dates) - len(dates),
        remark=remark,
    )


def held_by_budget(
    dates: Sequence[date], estimates: Mapping[date, Cost], max_rows: int
) -> tuple[tuple[date, ...], str]:
    """As many dates, in their order, as the budget holds, and what it has left out, in words; empty for nothing.

    The first date is always built: a date that is never built is a gap that stays. No date is passed over for a smaller
    one behind it, so that none is left out for ever.

    :param estimates: of each date.
    :param max_rows: the budget, in rows read in ClickHouse; 0 for none.
    """
    if not max_rows or not dates:
        return tuple(dates), ""
    taken, rows = 0, 0
    for day in dates:
        rows += estimates[day].rows
        if taken and rows > max_rows:
            break
        taken += 1
    first, left = dates[0], len(dates) - taken
    remark = ""
    if estimates[first].rows > max_rows:
        remark = (
            f"{first} alone is above the budget of {max_rows:,} rows with about {estimates[first].rows:,}, and is built "
            "all the same, since it would stay a gap otherwise"
        )
        if left:
            remark += f"; {_dates(left)} left to the next run"
    elif left:
        held = sum(estimates[day].rows for day in dates[:taken])
        remark = (
            f"the budget of {max_rows:,} rows holds the first {taken}, about {held:,} rows, and leaves {_dates(left)} to "
            "the next run"
        )
    return tuple(dates[:taken]), remark


def held_without_approval(
    dates: Sequence[date], estimates: Mapping[date, Cost], approve_above_rows: int
) -> tuple[tuple[date, ...], str]:
    """The dates, in their order, that a run may build that asks nobody, and what it leaves out, in words.

    A date that is above the bound alone is passed over: it waits for a person, and those behind it do not.

    :param estimates: of each date.
    :param approve_above_rows: 0: nobody is asked, and all are built.
    """
    if not approve_above_rows:
        return tuple(dates), ""
    taken, rows, large, others = [], 0, [], 0
    for day in dates:
        if estimates[day].rows > approve_above_rows:
            large.append(day)
        elif not others and rows + estimates[day].rows <= approve_above_rows:
            taken.append(day)
            rows += estimates[day].rows
        else:
            others += 1
    bound = f"WEB_ANALYTICS_APPROVE_ABOVE_ROWS {approve_above_rows:,}"
    remarks = []
    if large:
        remarks.append(
            f"{', '.join(map(str, large))} {'is' if len(large) == 1 else 'are'} above {bound} alone, and left to "
            "web_analytics_backfill, which asks a person"
        )
    if others:
        remarks.append(
            f"{_dates(others)} more would be above {bound} together, and {'is' if others == 1 else 'are'} left to the next run"
        )
    return tuple(taken), "; ".join(remarks)


def needs_approval(cost: Cost, approve_above_rows: int) -> bool:
    """Whether a person has to approve a run of this cost.

    :param approve_above_rows: 0: nobody is asked.
    """
    return bool(approve_above_rows) and cost.rows > approve_above_rows


def in_words(cost: Cost) -> str:
    """A sentence's part, such as "1,200,000 rows, 0.3 GB, 12 s of work"."""
    parts = [f"{cost.rows:,} rows"]
    if cost.bytes is not None:
        parts.append(f"{cost.bytes / 1e9:,.1f} GB" if cost.bytes >= 1e8 else f"{cost.bytes / 1e6:,.1f} MB")
    if cost.seconds is not None:
        parts.append(f"{cost.seconds:,.0f} s of work")
    return ", ".join(parts)


def _dates(count: int) -> str:
    return f"{count} date{'' if count == 1 else 's'}"
