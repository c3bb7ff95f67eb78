"""Made-up PostHog-shaped events, and the gaps that the demonstration has the backfill find."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import partition_id
from web_analytics.tables import BOUNCES, STATS, TABLES, PreAggregatedTable

SEED = 20260102
EVENTS = 1_000_000
DAYS = 40
EVENTS_PER_SESSION = 6


@dataclass(frozen=True)
class Gap:
    """A hole in the history.

    :ivar lost_from: tables that lost the day after it had been built, as by an accident.
    :ivar unbuilt_teams: how many teams the day was never built for, as when they had been enabled later.
    :ivar is_unbuilt: whether it was built for nobody, as when the pipeline had not run.
    """

    day: date
    lost_from: tuple[PreAggregatedTable, ...] = ()
    unbuilt_teams: int = 0
    is_unbuilt: bool = False


def planned_gaps(today: date, newest_closed: date, lookback_days: int = 30) -> list[Gap]:
    """Gaps on seven dates, as many as one run fills with its defaults, newest first.

    :param today: the current UTC day; the lookback is the days before it.
    :param newest_closed: yesterday, or the day before while yesterday is still open.
    """

    def before(days: int) -> date:
        return newest_closed - timedelta(days=days)

    return [
        Gap(newest_closed, is_unbuilt=True),
        Gap(before(3), is_unbuilt=True),
        Gap(before(6), lost_from=(STATS,)),
        Gap(before(8), lost_from=(BOUNCES,)),
        Gap(before(11), lost_from=TABLES),
        Gap(before(15), unbuilt_teams=2),
        Gap(today - timedelta(days=lookback_days), is_unbuilt=True),
    ]


def create_source(clickhouse: ClickHouse) -> None:
    """The tables that an installation of PostHog has already, empty."""
    clickhouse.run("demo/create_events")
    clickhouse.run("demo/create_person_overrides")


def load(clickhouse: ClickHouse, today: date, *, events: int = EVENTS, seed: int = SEED) -> None:
    """Fills the source with about so many events of the days before today, and enables most teams."""
    parameters = {
        "seed": seed,
        "sessions": max(1, round(events / EVENTS_PER_SESSION)),
        "days": DAYS,
        "date_end": today,
    }
    for statement in ("events", "events_again", "person_overrides"):
        clickhouse.run(f"demo/{statement}", parameters)
    clickhouse.run("demo/teams", {"backfill_days": 7})


def teams_to_build(clickhouse: ClickHouse, gap: Gap, team_ids: Collection[int]) -> list[int]:
    """The teams that the day of a gap is built for before the demonstration's run; none if it is unbuilt."""
    if gap.is_unbuilt:
        return []
    busiest_first = [row["team_id"] for row in clickhouse.query("demo/teams_on_day", {"day": gap.day})]
    # Not the very largest: a gap of small teams is the one that is easily overlooked.
    unbuilt = [team_id for team_id in busiest_first[1:] if team_id in team_ids][: gap.unbuilt_teams]
    return sorted(set(team_ids) - set(unbuilt))


def punch(clickhouse: ClickHouse, gap: Gap) -> None:
    """Makes the tables lose the day of a gap; their ledger still knows it."""
    for table in gap.lost_from:
        clickhouse.run("demo/drop_partition", {"partition_id": partition_id(gap.day)}, {"target": table.name})
