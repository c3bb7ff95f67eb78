"""Asks the kept activity which closed days have suspiciously few pageviews; the events are not read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.detection import activity
from web_analytics.rules import low_volume
from web_analytics.rules.low_volume import DayVolume, LowDay
from web_analytics.rules.partitions import DateRange, chunks, closed_part
from web_analytics.settings import Settings

# What bounds the memory of a statement, as in detector.py: with 20,000 teams about 300 MB.
MAX_DAYS_PER_STATEMENT = 31
# The parameters of the statement that are the rule's own.
CONSTANTS = {
    "min_weeks": low_volume.MIN_WEEKS,
    "deviations": low_volume.DEVIATIONS,
    "from_mad": low_volume.FROM_MAD,
    "from_difference": low_volume.FROM_DIFFERENCE,
    "fallen_percent": low_volume.FALLEN_PERCENT,
    "min_teams": low_volume.MIN_TEAMS,
    "least_percent": low_volume.LEAST_PERCENT,
}


def judged_days(settings: Settings, known: activity.KnownRange, days: DateRange) -> DateRange:
    """Those of the closed days that can have a verdict: of which the source was looked at since they were closed, with
    :data:`web_analytics.rules.low_volume.MIN_WEEKS` known weeks before them. Empty where the test is off.

    :param known: what the kept activity knows.
    """
    nothing = DateRange(days.start, days.start)
    is_on = settings.low_volume_percent and activity.is_kept(settings)
    if not is_on or known.known_from is None or known.scanned_at is None:
        return nothing
    first = known.known_from + timedelta(weeks=low_volume.MIN_WEEKS)
    return closed_part(days, known.scanned_at, settings.settling, max(first, settings.partitions_start_date))


def find(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    known: activity.KnownRange,
) -> list[DayVolume]:
    """What is said of the days that can have a verdict (:func:`judged_days`), the newest first.

    :param team_ids: all teams that are pre-aggregated: how many of them fall together counts.
    """
    judged = judged_days(settings, known, days)
    if not judged or not team_ids:
        return []
    found: list[DayVolume] = []
    for piece in chunks(judged, MAX_DAYS_PER_STATEMENT):
        found += reversed(ask(clickhouse, settings, piece, team_ids, known.known_from))
    return found


def ask(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    known_from: date | None,
) -> list[DayVolume]:
    """The same of days that one statement holds, the oldest first.

    :param known_from: the first day that the kept activity knows.
    """
    rows = clickhouse.query(
        "detection/low_volume",
        {
            "date_start": days.start,
            "date_end": days.end,
            "known_from": known_from,
            "percent": settings.low_volume_percent,
            "min_pageviews": settings.low_volume_min_pageviews,
            **CONSTANTS,
        },
        {"days": len(days), "weeks": low_volume.WEEKS},
        external_tables=[teams_table(team_ids)],
        heavy=True,
    )
    return [
        DayVolume(
            row["partition_date"],
            row["judged"],
            row["fallen"],
            tuple(
                LowDay(team_id, row["partition_date"], found, usual) for team_id, found, usual in row["low"]
            ),
        )
        for row in rows
    ]
