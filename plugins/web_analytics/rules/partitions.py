"""Rules about partitions (UTC days). Pure functions: the current instant is always an argument.

Every date range is half-open: ``[date_start, date_end)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class DateRange:
    """The UTC days from ``start`` up to, but not including, ``end``."""

    start: date
    end: date

    def __iter__(self):
        return (self.start + timedelta(days=offset) for offset in range(max(0, (self.end - self.start).days)))

    def __len__(self) -> int:
        return max(0, (self.end - self.start).days)

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.start <= day < self.end

    def intersect(self, other: DateRange) -> DateRange:
        start = max(self.start, other.start)
        return DateRange(start, max(start, min(self.end, other.end)))


def day_end(day: date) -> datetime:
    """The instant at which the UTC day is over."""
    return datetime.combine(day + ONE_DAY, datetime.min.time(), tzinfo=UTC)


def closed_at(day: date, settling: timedelta) -> datetime:
    """The instant from which the day counts: its end plus the settling delay."""
    return day_end(day) + settling


def is_open(day: date, now: datetime, settling: timedelta) -> bool:
    """An open day is never a gap: its events may still be on their way."""
    return now < closed_at(day, settling)


def newest_closed_day(now: datetime, settling: timedelta) -> date:
    """The newest UTC day whose settling delay has passed at ``now``."""
    return (now.astimezone(UTC) - settling).date() - ONE_DAY


def lookback(today: date, days: int) -> DateRange:
    """The ``days`` complete UTC days before ``today``: exactly that many, never ``today`` itself."""
    return DateRange(today - timedelta(days=days), today)


def closed_part(
    requested: DateRange, now: datetime, settling: timedelta, partitions_start_date: date
) -> DateRange:
    """What of a range may be looked at: nothing open, nothing before the partitions' start date."""
    allowed = DateRange(partitions_start_date, newest_closed_day(now, settling) + ONE_DAY)
    return requested.intersect(allowed)


def why_nothing_is_closed(requested: DateRange, closed: DateRange, partitions_start_date: date) -> str:
    """Why no day of a range may be looked at; empty where one may.

    :param closed: the :func:`closed_part` of the range.
    """
    if closed or not requested:
        return ""
    if requested.end <= partitions_start_date:
        return (
            f"all days up to, not including, {requested.end} lie before WEB_ANALYTICS_PARTITIONS_START_DATE, "
            f"{partitions_start_date}: nothing is looked at"
        )
    return f"no day from {requested.start} up to, not including, {requested.end} is closed yet: nothing is looked at"


def chunks(days: DateRange, longest: int) -> Iterator[DateRange]:
    """The range in pieces of at most ``longest`` days, the newest first."""
    end = days.end
    while end > days.start:
        start = max(days.start, end - longest * ONE_DAY)
        yield DateRange(start, end)
        end = start


def months(days: DateRange) -> Iterator[DateRange]:
    """The range cut at the first day of each month, the oldest first."""
    start = days.start
    while start < days.end:
        next_month = date(start.year + start.month // 12, start.month % 12 + 1, 1)
        yield DateRange(start, min(next_month, days.end))
        start = next_month


def month_of(day: date) -> int:
    """The day's month as ``toYYYYMM`` writes it."""
    return day.year * 100 + day.month


def partition_id(day: date) -> str:
    """ClickHouse's id of the day's partition in a table partitioned by ``toYYYYMMDD``."""
    return day.strftime("%Y%m%d")


def newest_first(days: Iterable[date]) -> list[date]:
    return sorted(set(days), reverse=True)
