"""Which UTC partitions a team's local days lie in."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, timedelta

import hypothesis
import pytest
from hypothesis import strategies as some

from tests.support import examples
from web_analytics.rules import time_zones
from web_analytics.rules.partitions import DateRange, closed_part, lookback, newest_closed_day

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
ZONES = sorted(time_zones.names())
# On the hour, off it by 30 and by 45 minutes, at both ends of the world, and with clocks that change at midnight.
NOTABLE = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
]
instants = some.integers(1_704_067_200, 1_830_297_600).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


def local_day(instant: datetime, zone: str) -> date:
    return instant.astimezone(zoneinfo.ZoneInfo(zone)).date()


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        ("UTC", date(2026, 6, 8), date(2026, 6, 15)),
        ("Europe/Berlin", date(2026, 6, 7), date(2026, 6, 15)),
        ("America/New_York", date(2026, 6, 8), date(2026, 6, 16)),
        ("Pacific/Kiritimati", date(2026, 6, 8), date(2026, 6, 16)),
        ("Asia/Kathmandu", date(2026, 6, 7), date(2026, 6, 15)),
    ],
)
def test_seven_days_of_well_known_zones(zone, start, end):
    assert time_zones.local_lookback(NOW, zone, 7) == DateRange(start, end)


@hypothesis.given(instants, some.sampled_from(NOTABLE + ZONES[::7]), some.integers(1, 30))
@examples(300)
def test_the_partitions_hold_exactly_the_local_days(now, zone, days):
    """Counted the other way round: the local day of every quarter of an hour near the edges."""
    found = time_zones.local_lookback(now, zone, days)
    wanted = set(lookback(local_day(now, zone), days))
    edge = datetime.combine(min(wanted), datetime.min.time(), tzinfo=UTC) - timedelta(days=2)
    ends = datetime.combine(max(wanted), datetime.min.time(), tzinfo=UTC) + timedelta(days=3)
    needed = set()
    while edge < ends:
        if local_day(edge, zone) in wanted:
            needed.add(edge.date())
        edge += timedelta(minutes=15)
    assert set(found) == needed
    assert days <= len(found) <= days + 1


@hypothesis.given(instants, some.sampled_from(NOTABLE), some.integers(1, 30), some.integers(0, 10_080))
@examples(200)
def test_never_an_open_partition(now, zone, days, settling_minutes):
    settling = timedelta(minutes=settling_minutes)
    closed = closed_part(time_zones.local_lookback(now, zone, days), now, settling, date(2024, 1, 1))
    assert all(day <= newest_closed_day(now, settling) for day in closed)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "utc+2",
        "Europe/berlin",
        "Mars/Olympus",
        "../../etc/passwd",
        "localtime",
        "Europe",
        " UTC",
        "UTC\n",
    ],
)
def test_what_is_no_zone(name):
    assert not time_zones.is_valid(name)


@pytest.mark.parametrize("name", NOTABLE)
def test_what_is_a_zone_clickhouse_knows_too(clickhouse_server, name):
    from clickhouse_driver import Client

    assert time_zones.is_valid(name)
    with Client(clickhouse_server.host, port=clickhouse_server.port) as client:
        assert client.execute(
            "SELECT count() FROM system.time_zones WHERE time_zone = %(name)s", {"name": name}
        )[0] == (1,)
