"""The statement that counts late days says what a model of the rule says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import at, examples
from web_analytics.detection import activity, service_level
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.service_level import DayCount
from web_analytics.tables import BOUNCES, STATS

DAYS = DateRange(date(2026, 3, 2), date(2026, 3, 9))
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = (STATS.name, BOUNCES.name)


@dataclass
class Team:
    """What is known of a team.

    :ivar pageviews: by day and day of ingestion.
    :ivar built: when its day was built first, by day and table; NEVER for what only a cleanup has recorded.
    :ivar changes: when it was enabled or disabled by REST, the oldest first.
    """

    pageviews: dict[tuple[date, date], int] = field(default_factory=dict)
    built: dict[tuple[date, str], datetime] = field(default_factory=dict)
    changes: list[tuple[datetime, bool]] = field(default_factory=list)

    def begins(self) -> date | None:
        """The first day that counts: that of the first build, or on which the team was last enabled, if that is later."""
        week_before = DAYS.start - timedelta(days=7)
        builds = [first for (day, _), first in self.built.items() if first > NEVER and day >= week_before]
        if not builds:
            return None
        was_enabled, enabled = False, []
        for instant, now_enabled in self.changes:
            enabled += [instant] if now_enabled and not was_enabled else []
            was_enabled = now_enabled
        return max([min(builds), *enabled[-1:]]).date()

    def has_events(self, day: date, known_until: date, hours: int, min_pageviews: int) -> bool:
        """Whether there was something to build, in time; of days that nobody has looked at by the last one looked at."""

        def on(day: date) -> bool:
            in_time = [
                count
                for (of_day, ingested), count in self.pageviews.items()
                if of_day == day and ingested <= day + timedelta(days=hours // 24)
            ]
            return sum(in_time) >= min_pageviews

        return on(day) or (day >= known_until and on(known_until - ONE_DAY))

    def is_on_time(self, day: date, hours: int) -> bool:
        firsts = [self.built.get((day, table), NEVER) for table in TABLES]
        return all(NEVER < first <= at(day, 24 + hours) for first in firsts)


def model(teams: list[Team], known_until: date, hours: int, min_pageviews: int) -> Iterator[DayCount]:
    for day in DAYS:
        due = [
            team
            for team in teams
            if (begins := team.begins())
            and begins <= day
            and team.has_events(day, known_until, hours, min_pageviews)
        ]
        yield DayCount(day, len(due), sum(not team.is_on_time(day, hours) for team in due))


@st.composite
def teams(draw) -> Team:
    """Days with and without events, built in time, at the last moment, too late, in one table only or never; the week before,
    too; enabled and disabled in between."""
    made = Team()
    first = draw(
        st.sampled_from([DAYS.start - timedelta(days=9), DAYS.start - ONE_DAY, DAYS.start, DAYS.end])
    )
    for day in DateRange(min(first, DAYS.start), DAYS.end):
        for later in draw(st.sampled_from([(), (0,), (0,), (0, 1), (1,), (2,)])):
            made.pageviews[day, day + timedelta(days=later)] = draw(st.integers(0, 3))
        for table in TABLES if day >= first else ():
            hours = draw(st.sampled_from([2, 2, 2, 2, 6, 6, 6, 6.0001, 24, 30, 31, 200, None, -1]))
            if hours is not None:
                made.built[day, table] = NEVER if hours < 0 else at(day, 24 + hours)
    changes = draw(st.sampled_from([(), (True,), (True, True), (True, False, True), (True, False)]))
    length = len(changes)
    instants = st.lists(st.integers(-2 * 24, 6 * 24), min_size=length, max_size=length, unique=True)
    hours_of_changes = sorted(draw(instants))
    made.changes = [(at(DAYS.start, hour), on) for hour, on in zip(hours_of_changes, changes, strict=True)]
    return made


@given(
    teams=st.lists(teams(), min_size=1, max_size=8),
    looked_at=st.sampled_from([at(DAYS.end, 3), at(DAYS.end, -1), at(DAYS.end, -60), at(DAYS.start, 24.5)]),
    hours=st.sampled_from([6, 30]),
    min_pageviews=st.sampled_from([0, 2]),
)
@pytest.mark.thorough
@examples(12, thorough=60)
def test_the_statement_says_what_the_model_says(
    web_analytics_schema, settings, teams, looked_at, hours, min_pageviews
):
    clickhouse = web_analytics_schema
    keep(clickhouse, dict(enumerate(teams)))
    settings = replace(settings, service_level_hours=hours, min_daily_pageviews=min_pageviews)
    # The last team of several is not selected any more.
    selected = list(range(max(1, len(teams) - 1)))
    wanted = list(model(teams[: len(selected)], looked_at.date(), hours, max(1, min_pageviews)))
    found = service_level.ask(clickhouse, settings, DAYS, selected, looked_at)
    assert found == wanted or (not found and not any(day.expected for day in wanted))


def keep(clickhouse, teams: dict[int, Team]) -> None:
    """Activity, ledger and history of these teams; of the activity, and of every other ledger entry, there is an older version."""
    admin = clickhouse.client
    for table in ("web_analytics_activity", "web_analytics_backfill_ledger", "web_analytics_backfill_log"):
        admin.execute(f"TRUNCATE TABLE {table}")
    held = [
        (team_id, *days, count) for team_id, team in teams.items() for days, count in team.pageviews.items()
    ]
    scans = [([(*row[:3], 5) for row in held], at(DAYS.start)), (held, at(DAYS.end))]
    for rows, scanned_at in scans:
        admin.execute(
            "INSERT INTO web_analytics_activity (team_id, partition_date, ingested_on, pageviews, scanned_at) VALUES",
            [(*row, scanned_at) for row in rows],
        )
    entries = [
        (team_id, day, table, first, max(first, at(day, 26)) + timedelta(days=version))
        for team_id, team in teams.items()
        for (day, table), first in team.built.items()
        for version in range(1 + (team_id + day.day) % 2)
    ]
    admin.execute(
        "INSERT INTO web_analytics_backfill_ledger (team_id, partition_date, table_name, first_built_at, built_at) VALUES",
        entries,
    )
    changes = []
    for team_id, team in teams.items():
        before: dict[str, bool] = {}
        for instant, enabled in team.changes:
            told = {"team_id": team_id, "before": before, "after": {"enabled": enabled}}
            changes.append((instant, "team", json.dumps(told)))
            before = {"enabled": enabled}
    admin.execute("INSERT INTO web_analytics_backfill_log (logged_at, kind, details) VALUES", changes)


def record(clickhouse, firsts: dict[tuple[int, date], datetime]) -> None:
    """Ledger entries of both tables, by team and day when it was built first."""
    clickhouse.client.execute(
        "INSERT INTO web_analytics_backfill_ledger (team_id, partition_date, table_name, built_at) VALUES",
        [(*key, table, first) for key, first in firsts.items() for table in TABLES],
    )


def test_the_source_is_taken_as_it_was_when_somebody_looked_at_it(source, settings, days):
    """While nobody looks, as when all runs stand still, the days go on being late."""
    clickhouse = source.clickhouse
    newest, middle, oldest = days(3)
    source.visits([1, 2], [middle, oldest], per_day=1)
    record(
        clickhouse,
        {(team, day): at(day, 26) for team in (1, 2) for day in (oldest - ONE_DAY, oldest, middle)},
    )
    known = activity.refresh(clickhouse, settings, DateRange(oldest, newest + ONE_DAY))
    known = replace(known, scanned_at=at(middle, 24.5))
    level = service_level.measure(clickhouse, settings, [1, 2], known, at(newest, 31))
    assert level.days[-3:] == (DayCount(oldest, 2, 0), DayCount(middle, 2, 0), DayCount(newest, 2, 2))
    # Somebody has looked, and the day was without events.
    known = replace(known, scanned_at=at(newest, 25))
    level = service_level.measure(clickhouse, settings, [1, 2], known, at(newest, 31))
    assert level.days[-1] == DayCount(newest, 0, 0)
    assert level.days[-1].partition_date == newest
    # Its deadline has not passed.
    level = service_level.measure(clickhouse, settings, [1, 2], known, at(newest, 29))
    assert level.days[-1].partition_date == middle


def test_where_it_cannot_be_told_there_is_no_service_level(source, settings, days):
    clickhouse, [day] = source.clickhouse, days(1)
    source.visits([1], [day], per_day=1)
    record(clickhouse, {(1, day): at(day, 25)})

    def level(team_ids=(1,), **changes):
        known = activity.known_range(clickhouse, settings)
        return service_level.measure(clickhouse, replace(settings, **changes), team_ids, known, at(day, 31))

    assert level() is None  # nobody has looked at the source
    activity.refresh(clickhouse, settings, DateRange(day, day + ONE_DAY))
    # The team's first build was on the next day: it counts from then on.
    assert level() is None
    record(clickhouse, {(1, day - ONE_DAY): at(day, 2)})
    assert level().days == (DayCount(day, 1, 0),)
    assert level(team_ids=()) is None
    assert level(service_level_hours=0) is None
    assert level(settling_minutes=360) is None
    assert level(activity="scanned") is None
