"""Asks the ledger and the kept activity which days of teams were complete in time; the events are not read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.detection import activity
from web_analytics.rules import service_level
from web_analytics.rules.partitions import DateRange, newest_closed_day
from web_analytics.rules.service_level import DayCount, ServiceLevel
from web_analytics.settings import Settings


def measure(
    clickhouse: ClickHouse,
    settings: Settings,
    team_ids: Collection[int],
    known: activity.KnownRange,
    now: datetime,
) -> ServiceLevel | None:
    """What became of the objective in the last days.

    :param team_ids: all teams that are pre-aggregated now.
    :param known: what the kept activity knows.
    :returns: None where there is no service level, nothing is known of the source, or no team's day counts yet.
    """
    if not service_level.can_be_kept(settings.service_level_hours, settings.settling):
        return None
    if not activity.is_kept(settings) or known.known_from is None or known.scanned_at is None:
        return None
    first = max(known.known_from, settings.partitions_start_date)
    due = service_level.days_due(now, settings.service_level_hours)
    days = due.intersect(DateRange(first, due.end))
    counts = ask(clickhouse, settings, days, team_ids, known.scanned_at)
    if not any(count.expected for count in counts):
        return None
    return ServiceLevel(settings.service_level_hours, settings.service_level_objective, tuple(counts))


def ask(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    looked_at: datetime,
) -> list[DayCount]:
    """The teams of each day, the oldest day first.

    :param days: days whose deadline has passed, at most 64.
    :param looked_at: when somebody last looked at the source.
    """
    known_until = newest_closed_day(looked_at, timedelta()) + timedelta(days=1)
    if not days or not team_ids or known_until <= days.start:
        return []
    rows = clickhouse.query(
        "detection/service_level",
        {
            "date_start": days.start,
            "date_end": days.end,
            "known_until": known_until,
            "hours": settings.service_level_hours,
            "min_pageviews": max(1, settings.min_daily_pageviews),
        },
        {"days": len(days)},
        external_tables=[teams_table(team_ids)],
        heavy=True,
    )
    return [DayCount(row["partition_date"], row["expected"], row["late"]) for row in rows]
