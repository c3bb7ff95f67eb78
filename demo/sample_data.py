"""Made-up PostHog-shaped events, and the gaps that the demonstration has the backfill find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from web_analytics.clickhouse import ClickHouse
from web_analytics.partitions import partition_id
from web_analytics.tables import BOUNCES, STATS, TABLES, PreAggregatedTable

SEED = 20260102
EVENTS = 1_000_000
DAYS = 40
EVENTS_PER_SESSION = 6


@dataclass(frozen=True)
class Gap:
    """A hole in the built tables.

    :ivar team_count: of how many teams; None for all of them.
    """

    day: date
    tables: tuple[PreAggregatedTable, ...]
    team_count: int | None = None

    @property
    def is_whole_day(self) -> bool:
        return set(self.tables) == set(TABLES) and self.team_count is None


def planned_gaps(today: date, newest_closed: date, lookback_days: int = 30) -> list[Gap]:
    """Gaps on seven dates, as many as one run fills with its defaults, newest first.

    :param today: the current UTC day; the lookback is the days before it.
    :param newest_closed: yesterday, or the day before while yesterday is still open.
    """

    def before(days: int) -> date:
        return newest_closed - timedelta(days=days)

    return [
        Gap(newest_closed, TABLES),
        Gap(before(3), TABLES),
        Gap(before(6), (STATS,)),
        Gap(before(8), (BOUNCES,)),
        Gap(before(11), TABLES),
        Gap(before(15), TABLES, team_count=2),
        Gap(today - timedelta(days=lookback_days), TABLES),
    ]


def days_to_build(lookback: Sequence[date], newest_closed: date, gaps: Sequence[Gap]) -> list[date]:
    """The closed days of the lookback that some rows of are there before the demonstration's run."""
    unbuilt = {gap.day for gap in gaps if gap.is_whole_day}
    return [day for day in lookback if day <= newest_closed and day not in unbuilt]


def create_source(clickhouse: ClickHouse) -> None:
    """The tables that an installation of PostHog has already, empty."""
    clickhouse.run("sample_data/create_events")
    clickhouse.run("sample_data/create_person_overrides")


def load(clickhouse: ClickHouse, today: date, *, events: int = EVENTS, seed: int = SEED) -> None:
    """Fills the source with about so many events of the days before today, and enables most teams."""
    parameters = {
        "seed": seed,
        "sessions": max(1, round(events / EVENTS_PER_SESSION)),
        "days": DAYS,
        "date_end": today,
    }
    for statement in ("events", "events_again", "person_overrides"):
        clickhouse.run(f"sample_data/{statement}", parameters)
    clickhouse.run("sample_data/teams", {"backfill_days": 7})


def punch(clickhouse: ClickHouse, gap: Gap) -> None:
    """Removes rows from built tables as an accident would: the ledger still knows them."""
    if gap.is_whole_day:
        # Such a day was never built, as when the pipeline had not run: see days_to_build.
        return
    team_ids = None
    if gap.team_count is not None:
        on_that_day = [
            row["team_id"] for row in clickhouse.query("sample_data/teams_on_day", {"day": gap.day})
        ]
        # Neither the largest, nor those that are idle on most days.
        team_ids = on_that_day[1 : 1 + gap.team_count]
    for table in gap.tables:
        if team_ids is None:
            clickhouse.run(
                "backfill/drop_partition", {"partition_id": partition_id(gap.day)}, {"target": table.name}
            )
        else:
            clickhouse.run(
                "sample_data/drop_teams_of_day", {"day": gap.day, "team_ids": team_ids}, {"table": table.name}
            )
