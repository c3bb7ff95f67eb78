"""Regrouping the buckets by local day gives what the raw events give, through changes of the clocks."""

from __future__ import annotations

import random
import re
import zoneinfo
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.conftest import CHECKOUT
from tests.support import session_id
from web_analytics import validation
from web_analytics.build.steps import build_partition
from web_analytics.settings import Settings

# Clocks change in Berlin on 29 March and, by half an hour, on Lord Howe Island on 5 April.
DAYS = [date(2026, 3, 28), date(2026, 3, 29), date(2026, 3, 30), date(2026, 4, 4), date(2026, 4, 5)]
WHOLE_HOURS = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"]
OFF_THE_HOUR = ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe"]
TEAM = 1


def query(zone: str) -> str:
    """The example of docs/teams.md, for this team, zone and these days."""
    [text] = re.findall(r"```sql\n(.*?)```", (CHECKOUT / "docs" / "teams.md").read_text(), re.DOTALL)
    for old, new in (
        ("Europe/Berlin", zone),
        ("team_id = 123", f"team_id = {TEAM}"),
        ("2026-03-25", "2026-03-20"),
        ("2026-04-01", "2026-04-15"),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


@pytest.fixture
def expected(source):
    """``expected(zone)``: pageviews and sessions per local day, as the events were made. They count on the day on
    which their session began."""
    made: list[tuple[datetime, int]] = []
    for day in DAYS:
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        # 13:37 and 13:52 lie behind a local midnight that is off the hour on Lord Howe Island.
        for quarter in {54, 55, *random.Random(day.toordinal()).sample(range(96), 40)}:
            born = midnight + timedelta(minutes=15 * quarter + 7)
            session, views = session_id(born), 1 + quarter % 3
            for view in range(views):
                source.event(TEAM, born + timedelta(minutes=40 * view), session)
            made.append((born, views))

    def by_local_day(zone: str) -> dict[date, tuple[int, int]]:
        sums: dict[date, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for born, views in made:
            day = born.astimezone(zoneinfo.ZoneInfo(zone)).date()
            sums[day] = (sums[day][0] + views, sums[day][1] + 1)
        return dict(sums)

    return by_local_day


def found(source, zone: str) -> dict[date, tuple[int, int]]:
    return {day: (views, sessions) for day, views, sessions in source.clickhouse.client.execute(query(zone))}


@pytest.mark.slow
def test_local_days_are_exact_and_a_mixture_of_widths_is_refused(source, expected):
    hours = Settings.load({})
    quarters = Settings.load({"WEB_ANALYTICS_BUCKET_MINUTES": "15"})
    for day in DAYS:
        build_partition(source.clickhouse, hours, day, [TEAM])
    for zone in WHOLE_HOURS:
        assert found(source, zone) == expected(zone), zone
    for zone in OFF_THE_HOUR:
        assert found(source, zone) != expected(zone), zone

    assert validation.check_day(source.clickhouse, quarters, DAYS[0], [TEAM]).failed
    for day in DAYS:
        build_partition(source.clickhouse, quarters, day, [TEAM])
    for zone in WHOLE_HOURS + OFF_THE_HOUR:
        assert found(source, zone) == expected(zone), zone
    assert not validation.check_day(source.clickhouse, quarters, DAYS[0], [TEAM]).failed

    # One day of the other width among them, as after a change of the setting that nobody built again for.
    build_partition(source.clickhouse, hours, DAYS[1], [TEAM])
    mixed = validation.check_day(source.clickhouse, quarters, DAYS[1], [TEAM])
    assert mixed.failed
    assert {each.measure for each in mixed.differences} <= set(validation.BUCKET_MEASURES)
