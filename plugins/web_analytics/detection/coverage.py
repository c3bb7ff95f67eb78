"""How ``detection/coverage.sql`` and ``detection/missing.sql`` are asked: about which days in one statement, and from what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from web_analytics import tables
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import activity
from web_analytics.rules.partitions import DateRange, chunks
from web_analytics.rules.states import COMPLETE, MISSING
from web_analytics.settings import Settings

# Team-days in one statement: what bounds the memory of detection (goal: 300 MB).
TEAM_DAYS_PER_STATEMENT = 480_000
MAX_DAYS_PER_STATEMENT = 31
# Missing days alone take a third as much for each, even where nothing is built; a set of days has 64 bits.
TIMES_AS_MANY_IF_ONLY_MISSING, MAX_DAYS_IF_ONLY_MISSING = 3, 64


@dataclass(frozen=True)
class CoverageQuery:
    """How to ask ``detection/coverage.sql`` about some days.

    :ivar parameters: its values; :ivar names: its flags.
    """

    parameters: dict[str, Any]
    names: dict[str, Any]


def coverage_query(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    *,
    kinds: Sequence[str] = (),
    may_be_behind: bool = False,
    known: activity.KnownRange | None = None,
) -> CoverageQuery:
    """How to ask about a range in one statement. Nothing is written.

    Days that the kept activity knows are looked up there, together with what was ingested since; others, or all
    with ``WEB_ANALYTICS_ACTIVITY=scanned``, are scanned. Both give the same answer.

    :param kinds: the only kinds of gap that are of interest; empty for every state.
    :param may_be_behind: take the kept activity as it was refreshed last (:func:`store_plan` has just done it; a
        page that is looked at can say as of when).
    :param known: what the kept activity knows, where the caller has read it.
    """
    known = known or activity.known_range(clickhouse, settings)
    is_kept = activity.is_kept(settings) and known.contains(days)
    with_new = is_kept and not may_be_behind
    with_activity_alone = is_kept and not with_new
    return CoverageQuery(
        parameters={
            "date_start": days.start,
            "date_end": days.end,
            "min_daily_pageviews": settings.min_daily_pageviews,
            "stale_min_events": settings.stale_min_events,
            **({"since": activity.as_text(known.since)} if with_new else {}),
        },
        names={
            "from_kept": False,
            "bucket_minutes": settings.bucket_minutes,
            "has_part_name": known.has_part_name,
            "activity_is_kept": is_kept,
            "further_tables": [table.short_name for table in tables.MORE_TABLES],
            "is_short_range": len(days) <= MAX_DAYS_PER_STATEMENT,
            "with_new": with_new,
            "only_gaps": bool(kinds) and COMPLETE not in kinds,
            "only_missing": with_activity_alone and asks_only_missing(settings, kinds),
        },
    )


def asks_only_missing(settings: Settings, kinds: Sequence[str]) -> bool:
    """Whether ``detection/missing.sql`` answers, where the kept activity is up to date."""
    return activity.is_kept(settings) and tuple(kinds) == (MISSING,)


def in_pieces(days: DateRange, teams: int, *, only_missing: bool = False) -> Iterator[DateRange]:
    """A range in pieces whose team-days one statement can hold, the newest first."""
    times, most = (
        (TIMES_AS_MANY_IF_ONLY_MISSING, MAX_DAYS_IF_ONLY_MISSING)
        if only_missing
        else (1, MAX_DAYS_PER_STATEMENT)
    )
    team_days = times * TEAM_DAYS_PER_STATEMENT // max(1, teams)
    return chunks(days, max(1, min(most, team_days)))
