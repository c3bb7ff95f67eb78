"""Which UTC partitions a team's local days lie in. Pure functions: the current instant is always an argument."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import cache

from web_analytics.rules.partitions import ONE_DAY, DateRange


@cache
def names() -> frozenset[str]:
    """The IANA names of the zones that a team may have."""
    return frozenset(zoneinfo.available_timezones()) - {"localtime", "Factory"}


def is_valid(name: str) -> bool:
    return name in names()


def start_of(day: date, zone: str) -> datetime:
    """The instant, in UTC, at which a local day begins; where clocks skip midnight, the instant of the change."""
    return datetime(day.year, day.month, day.day, tzinfo=zoneinfo.ZoneInfo(zone)).astimezone(UTC)


def local_lookback(now: datetime, zone: str, days: int) -> DateRange:
    """The UTC partitions that hold the ``days`` complete local days before the local today.

    They are as many, or one more: a local day that is no UTC day begins in one partition and ends in the next.

    :param now: any instant with a zone.
    """
    today = now.astimezone(zoneinfo.ZoneInfo(zone)).date()
    begin = start_of(today - timedelta(days=days), zone)
    last = start_of(today, zone) - timedelta(microseconds=1)
    return DateRange(begin.date(), last.date() + ONE_DAY)
