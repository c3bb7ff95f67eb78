"""The service level: which share of the days of teams was complete in time, and how fast its error budget burns.

Pure functions: the present instant is always an argument. Which team's day counts is said in docs/semantics.md, and by
``detection/service_level.sql``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from web_analytics.rules.partitions import DateRange, day_end, lookback, newest_closed_day

# The objective is about so many days.
WINDOW_DAYS = 30
# The budget burns while both of these, the last days and the newest one, use it up faster than allowed: the long window keeps
# one team's late day from being told, the short one ends the warning with the first good day.
BURN_DAYS, NEWEST_DAYS = 3, 1
ALLOWED_BURN_RATE = 1.0
# How many of the late days people are told of.
DAYS_TOLD = 3


@dataclass(frozen=True)
class DayCount:
    """The teams of one day.

    :ivar expected: teams whose day counts.
    :ivar late: those of them that were not complete in both tables at the deadline.
    """

    partition_date: date
    expected: int
    late: int


@dataclass(frozen=True)
class ServiceLevel:
    """What became of the objective.

    :ivar hours: how long after its end a day has to be complete.
    :ivar objective: percent of the days of teams, below 100.
    :ivar days: those whose deadline has passed, the oldest first; at least one team's day counts.
    """

    hours: int
    objective: float
    days: tuple[DayCount, ...]

    @property
    def expected(self) -> int:
        """Days of teams that count."""
        return sum(day.expected for day in self.days)

    @property
    def late(self) -> int:
        """Those of them that were late, or are not there yet."""
        return sum(day.late for day in self.days)

    @property
    def percent(self) -> float:
        """Of the days of teams, those that were on time."""
        return 100 - 100 * self.late / self.expected

    @property
    def budget_left_percent(self) -> float:
        """Of the days that may be late, those that are left; below 0 where more were late."""
        return 100 - 100 * _burn_rate(self.days, self.objective)

    @property
    def burn_rate(self) -> float:
        """How many times as many of the last :data:`BURN_DAYS` days were late as the objective allows."""
        return _burn_rate(self.days[-BURN_DAYS:], self.objective)

    @property
    def is_burning(self) -> bool:
        """Whether people are told: it was missed lately, and still is."""
        newest = _burn_rate(self.days[-NEWEST_DAYS:], self.objective)
        return min(self.burn_rate, newest) > ALLOWED_BURN_RATE

    @property
    def burning_since(self) -> datetime:
        """The deadline of the first late one of the last days; of the newest day where none was late."""
        last = self.days[-BURN_DAYS:]
        first = next((day for day in last if day.late), last[-1])
        return deadline(first.partition_date, self.hours)

    @property
    def sentence(self) -> str:
        """What people are told while it burns."""
        late = [day for day in reversed(self.days[-BURN_DAYS:]) if day.late][:DAYS_TOLD]
        named = ", ".join(f"{day.partition_date} ({day.late} of {day.expected} teams)" for day in late)
        left = self.budget_left_percent
        budget = (
            f"{left:.0f} % of the error budget of {WINDOW_DAYS} days is left"
            if left > 0
            else (f"the error budget of {WINDOW_DAYS} days is used up")
        )
        return (
            f"days are late, not complete {self.hours} h after their end: {named}; that is {self.burn_rate:.1f} times what "
            f"the objective of {self.objective:g} % allows, and {budget}"
        )

    def to_json(self) -> dict[str, Any]:
        """As the health check keeps it; ``late_days`` are those of the window on which a team was late."""
        return {
            "hours": self.hours,
            "objective": self.objective,
            "days": len(self.days),
            "expected": self.expected,
            "late": self.late,
            "percent": rounded_down(self.percent),
            "budget_left_percent": rounded_down(self.budget_left_percent),
            "burn_rate": rounded_down(self.burn_rate),
            "late_days": [
                {"date": day.partition_date.isoformat(), "expected": day.expected, "late": day.late}
                for day in self.days
                if day.late
            ],
        }


def deadline(day: date, hours: int) -> datetime:
    """The instant until which the UTC day has to be complete."""
    return day_end(day) + timedelta(hours=hours)


def days_due(now: datetime, hours: int) -> DateRange:
    """The newest :data:`WINDOW_DAYS` days whose deadline has passed."""
    newest = newest_closed_day(now, timedelta(hours=hours))
    return lookback(newest + timedelta(days=1), WINDOW_DAYS)


def can_be_kept(hours: int, settling: timedelta) -> bool:
    """Whether there is a service level: no day can be complete before it is closed; 0 hours mean that nobody wants one."""
    return timedelta(hours=hours) > settling


def _burn_rate(days: Sequence[DayCount], objective: float) -> float:
    """The share of late days, divided by the share that may be late."""
    expected = sum(day.expected for day in days)
    late = sum(day.late for day in days)
    return 100 * late / expected / (100 - objective) if expected else 0.0


def rounded_down(number: float) -> float:
    """For people and metrics, with two places: nothing is said to be better than it is."""
    return math.floor(round(100 * number, 6)) / 100
