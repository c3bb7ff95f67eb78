"""What the coverage page shows: the state of every (team, day, table) of a range, the worst teams first.

The states come from the one detection query; here they are only cut to a page and completed by the states that are
no gaps: open, idle, unknown, outside and not enabled. Only the teams of one page are ever read day by day.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from web_analytics import parsers
from web_analytics.api.coverage.ranking import GAP_COUNTS, NO_GAPS, WORST_FIRST, TeamGaps, added_up, in_order
from web_analytics.api.coverage.volumes import VOLUMES
from web_analytics.api.problems import meaning_of
from web_analytics.clickhouse.connection import ClickHouse, Row, teams_table
from web_analytics.conf import MAX_RANGE_DAYS
from web_analytics.detection import activity, kept_states, low_volume
from web_analytics.detection.coverage import CoverageQuery, coverage_query
from web_analytics.detection.kept_states import KeptMonth
from web_analytics.errors import BadSetting
from web_analytics.rules.low_volume import LowDay
from web_analytics.rules.partitions import ONE_DAY, DateRange, chunks, closed_part, is_open
from web_analytics.rules.states import GAP_KINDS, SMALL
from web_analytics.settings import Settings
from web_analytics.tables import TABLES
from web_analytics.teams import names
from web_analytics.teams.selection import select_teams

OPEN, IDLE, UNKNOWN, OUTSIDE, NOT_ENABLED = "open", "idle", "unknown", "outside", "not enabled"
# One letter for each state, so that a team's year is one string.
CODES = {
    "complete": "c",
    "missing": "m",
    "inconsistent": "i",
    "stale": "s",
    "orphan": "r",
    OPEN: "o",
    IDLE: "-",
    SMALL: "t",
    UNKNOWN: "u",
    OUTSIDE: "x",
    NOT_ENABLED: "n",
}
PAGE_SIZES = (25, 50, 100)
LONGEST_TEAM_FILTER = 1000
FAILURES_SHOWN = 5
# Of a long range the newest days are judged: nobody acts on a fall that is older.
LOW_DAYS_SHOWN = low_volume.MAX_DAYS_PER_STATEMENT
# One statement reads the states of so many days.
DAYS_OF_STATES = 92
DECISIONS_SHOWN = 50


@dataclass(frozen=True)
class View:
    """What a reader asked for.

    :ivar days: the range to show; it may reach into the future of ``date_end`` no further than today.
    :ivar team_ids: only these teams; None for no filter.
    :ivar all_teams: also teams that are not enabled.
    :ivar page: from 1.
    :ivar only_gaps: only teams with a gap.
    :ivar order: one of :data:`web_analytics.api.coverage.ranking.ORDERS`.
    :ivar rows: these teams in this order instead of a page, as far as the filter has them: what a reader has before
        their eyes keeps its place when it is read anew.
    """

    days: DateRange
    team_ids: tuple[int, ...] | None
    all_teams: bool
    page: int
    page_size: int
    only_gaps: bool = False
    order: str = WORST_FIRST
    rows: tuple[int, ...] = ()


def parse_team_ids(text: str) -> tuple[int, ...]:
    """The ids of a filter such as ``3, 17``.

    :raises BadSetting: anything else.
    """
    parts = text.replace(",", " ").split()
    accepted = f"at most {LONGEST_TEAM_FILTER} team ids, each {parsers.TEAM_ID_IN_WORDS}, separated by commas"
    if len(parts) > LONGEST_TEAM_FILTER:
        raise BadSetting("team_ids", f"{text[:40]}…", accepted)
    try:
        return parsers.team_ids(",".join(parts))
    except ValueError as error:
        raise BadSetting("team_ids", text[:200], accepted) from error


def parse_rows(text: str) -> tuple[int, ...]:
    """The ids of a page's teams in their order.

    :raises BadSetting: anything else.
    """
    parse_team_ids(text)
    return tuple(dict.fromkeys(map(int, text.replace(",", " ").split())))


def range_to_show(
    now: datetime,
    settings: Settings,
    days: int | None = None,
    date_start: date | None = None,
    date_end: date | None = None,
) -> DateRange:
    """The days of the page, half-open: an explicit range, or the last ``days`` complete ones and today.

    :raises BadSetting: only one date, reversed, or more than a year.
    """
    today = now.astimezone(UTC).date()
    if date_start is None and date_end is None:
        length = settings.lookback_days if days is None else days
        if not 1 <= length <= MAX_RANGE_DAYS:
            raise BadSetting("days", length, f"a whole number from 1 to {MAX_RANGE_DAYS}")
        return DateRange(today - timedelta(days=length), today + ONE_DAY)
    if date_start is None or date_end is None:
        raise BadSetting("date_start" if date_start is None else "date_end", None, "a date: both or none")
    if not 0 < (date_end - date_start).days <= MAX_RANGE_DAYS + 1:
        raise BadSetting(
            "date_end", date_end.isoformat(), f"1 to {MAX_RANGE_DAYS + 1} days after date_start {date_start}"
        )
    return DateRange(date_start, date_end)


def state_of(
    day: date,
    known: str | None,
    *,
    enabled: bool,
    now: datetime,
    settings: Settings,
    known_from: date = date.min,
) -> str:
    """The state that the page shows of one (team, day, table).

    :param known: what the detection says of it; None where it has nothing to say of the day.
    :param known_from: days before this one nobody has looked at.
    """
    if day < settings.partitions_start_date:
        return OUTSIDE
    if not enabled:
        return NOT_ENABLED
    if is_open(day, now, settings.settling):
        return OPEN
    if day < known_from:
        return UNKNOWN
    return known or IDLE


def line_of_states(days: DateRange, known: Mapping[date, str], **how: Any) -> str:
    """One letter of :data:`CODES` for each day of the range.

    :param how: as :func:`state_of` takes it.
    """
    return "".join(CODES[state_of(day, known.get(day), **how)] for day in days)


def read_page(clickhouse: ClickHouse, settings: Settings, view: View, now: datetime) -> dict[str, Any]:
    """One page of teams with all their days, and the totals over all pages.

    Ids are strings: JavaScript's numbers do not hold all of them.
    """
    # What the newest detection knows of the source: a page is not worth reading the events again.
    known = activity.known_range(clickhouse, settings)
    known_from = _known_from(settings, known, now)
    to_be_built = closed_part(view.days, now, settings.settling, settings.partitions_start_date)
    closed = to_be_built.intersect(DateRange(known_from, to_be_built.end))
    enabled = select_teams(clickhouse, settings).team_ids
    shown, others = enabled, frozenset()
    if view.team_ids is not None:
        shown = enabled.intersection(view.team_ids)
        others = frozenset(view.team_ids) - enabled
    elif view.all_teams:
        query = coverage_query(clickhouse, settings, closed, may_be_behind=True, known=known)
        rows = clickhouse.query(
            "api/list_other_teams",
            query.parameters,
            query.names,
            external_tables=[teams_table(enabled)],
            heavy=True,
        )
        others = frozenset(row["team_id"] for row in rows)
    judged = closed.intersect(DateRange(closed.end - LOW_DAYS_SHOWN * ONE_DAY, closed.end))
    versions = kept_states.read_versions(clickhouse) if closed else {}
    # Of all teams, so that what is counted for one reader is there for the next one, whatever they look for.
    kept: Sequence[KeptMonth] = ()
    if not kept_states.is_looked_at_anyway(closed, len(enabled)):
        kept = kept_states.find(clickhouse, settings, closed, enabled, known, versions)
    volumes, *counted = clickhouse.side_by_side(
        [
            VOLUMES.question(clickhouse, settings, judged, enabled, known),
            *GAP_COUNTS.questions(settings, closed, enabled, known, versions, kept),
        ]
    )
    gaps = {team_id: each for team_id, each in added_up(counted).items() if team_id in shown}
    ranked = [*in_order(view.order, shown, gaps), *sorted(others)]
    listed = [team_id for team_id in ranked if team_id in gaps] if view.only_gaps else ranked
    first = (view.page - 1) * view.page_size
    known_teams = shown | others
    of_page = [team_id for team_id in view.rows if team_id in known_teams]
    of_page = of_page or listed[first : first + view.page_size]
    team_names = names.names_of(clickhouse, settings, of_page)
    detailed = shown.intersection(of_page)
    states = _states(clickhouse, settings, closed, detailed, known, kept) if detailed else {}
    low: dict[int, list[LowDay]] = {}
    for volume in volumes:
        for each in volume.low:
            low.setdefault(each.team_id, []).append(each)
    return {
        "date_start": view.days.start.isoformat(),
        "date_end": view.days.end.isoformat(),
        "closed_from": closed.start.isoformat(),
        "closed_until": closed.end.isoformat(),
        "known_from": None if known_from == date.min else known_from.isoformat(),
        "as_of": _as_of(settings, known, closed),
        "page": view.page,
        "page_size": view.page_size,
        "totals": {
            **_totals(gaps, len(listed), len(shown), len(enabled)),
            UNKNOWN: (len(to_be_built) - len(closed)) * len(shown) * len(TABLES),
        },
        "common_falls": [
            {"date": day.partition_date.isoformat(), "judged": day.judged, "fallen": day.fallen}
            for day in volumes
            if day.is_common_fall
        ],
        "teams": [
            _team(
                team_id,
                team_names.get(team_id, ""),
                team_id in shown,
                gaps.get(team_id, NO_GAPS),
                states.get(team_id, {}),
                low.get(team_id, []),
                view.days,
                now=now,
                settings=settings,
                known_from=known_from,
            )
            for team_id in of_page
        ],
    }


def _states(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: frozenset[int],
    known: activity.KnownRange,
    kept: Sequence[KeptMonth],
) -> dict[int, dict[str, dict[date, str]]]:
    """The known states of a few teams by table and day; parts of a long range side by side."""

    def ask(query: CoverageQuery, teams: Collection[int], connection: ClickHouse) -> list[Row]:
        return connection.query(
            "api/list_states",
            query.parameters,
            query.names,
            external_tables=[teams_table(teams)],
            heavy=True,
        )

    asked = [
        (coverage_query(clickhouse, settings, piece, may_be_behind=True, known=known), teams)
        for rest, teams in kept_states.not_kept(days, team_ids, kept)
        for piece in chunks(rest, DAYS_OF_STATES)
    ]
    if kept:
        asked.append((kept_states.ask_for(kept, days, only_gaps=False), team_ids))
    found: dict[int, dict[str, dict[date, str]]] = {}
    for rows in clickhouse.side_by_side([functools.partial(ask, *each) for each in asked]):
        for row in rows:
            of_team = found.setdefault(row["team_id"], {table.short_name: {} for table in TABLES})
            for name, states in of_team.items():
                states.update(zip(row["days"], row[f"{name}_states"], strict=True))
    return found


def _known_from(settings: Settings, known: activity.KnownRange, now: datetime) -> date:
    """The first day of which a page tells the state. Days that no run has looked at are read from the events only as far
    back as scheduled runs look: these will have looked there soon."""
    if not activity.is_kept(settings):
        return date.min
    of_schedule = now.astimezone(UTC).date() - timedelta(days=settings.lookback_days)
    return min(known.known_from or of_schedule, of_schedule)


def _as_of(settings: Settings, known: activity.KnownRange, days: DateRange) -> str | None:
    """Since when events may have arrived that the page does not know of; None where it has read them all."""
    knows_any = known.known_from is not None and known.known_from < days.end
    return instant(known.scanned_at) if activity.is_kept(settings) and knows_any else None


def _totals(gaps: Mapping[int, TeamGaps], teams: int, looked_at: int, enabled_teams: int) -> dict[str, Any]:
    """Over all pages.

    :param teams: that the filter gives, also those that are not enabled.
    :param looked_at: of these the enabled ones.
    :param enabled_teams: with or without the filter.
    """
    total = sum(gaps.values(), NO_GAPS)
    return {
        "enabled_teams": enabled_teams,
        "looked_at": looked_at,
        "teams": teams,
        "teams_with_gaps": len(gaps),
        "oldest_gap": total.oldest_gap.isoformat() if total.oldest_gap else None,
        **{kind: getattr(total, kind) for kind in GAP_KINDS},
    }


def _team(
    team_id: int,
    name: str,
    enabled: bool,
    gaps: TeamGaps,
    known: Mapping[str, Mapping[date, str]],
    low: Sequence[LowDay],
    days: DateRange,
    **how: Any,
) -> dict[str, Any]:
    """:param how: as :func:`state_of` takes it."""
    lines = {}
    for table in TABLES:
        states = known.get(table.short_name, {})
        lines[table.short_name] = line_of_states(days, states, enabled=enabled, **how)
    return {
        "team_id": str(team_id),
        "name": name,
        "enabled": enabled,
        "gaps": gaps.total,
        **{kind: getattr(gaps, kind) for kind in GAP_KINDS},
        "waiting_pageviews": gaps.waiting_pageviews,
        "oldest_gap": gaps.oldest_gap.isoformat() if gaps.oldest_gap else None,
        "low_days": [
            {"date": each.partition_date.isoformat(), "pageviews": each.pageviews, "usual": each.usual}
            for each in low
        ],
        "states": lines,
    }


def read_cell(
    clickhouse: ClickHouse, settings: Settings, team_id: int, day: date, now: datetime
) -> dict[str, Any]:
    """Everything known of one team's day: the source, what each table holds, the build it is from, failures."""
    enabled = team_id in select_teams(clickhouse, settings).team_ids
    range_parameters = {"date_start": day, "date_end": day + ONE_DAY}
    coverage = coverage_query(clickhouse, settings, DateRange(day, day + ONE_DAY))
    known = clickhouse.query(
        "api/read_cell",
        coverage.parameters,
        coverage.names,
        external_tables=[teams_table([team_id])],
        heavy=True,
    )
    source = known[0] if known else {}
    builds = {
        row["table_name"]: row
        for row in clickhouse.query("api/read_builds", {"team_id": team_id, "partition_date": day})
    }
    failures = clickhouse.query("api/list_failures", {"partition_date": day, "row_limit": FAILURES_SHOWN})
    tables = []
    for table in TABLES:
        stored = clickhouse.query(
            "api/read_stored", {"team_id": team_id, **range_parameters}, {"table": table.name}
        )[0]
        build = builds.get(table.name)
        tables.append(
            {
                "table_name": table.name,
                "state": state_of(
                    day,
                    source.get(f"{table.short_name}_state"),
                    enabled=enabled,
                    now=now,
                    settings=settings,
                ),
                "rows": int(stored["row_count"]),
                "pageviews": int(stored["pageviews"]),
                "sessions": int(stored["sessions"]),
                "built_at": instant(build["built_at"]) if build else None,
                "rows_are_gone": bool(source.get(f"{table.short_name}_rows_are_gone")),
                "dag_id": build["dag_id"] if build else None,
                "run_id": build["run_id"] if build else None,
                "newest_ingested_at": instant(build["newest_ingested_at"]) if build else None,
            }
        )
    return {
        "team_id": str(team_id),
        "date": day.isoformat(),
        "enabled": enabled,
        "source_pageviews": int(source.get("source_pageviews", 0)),
        "source_newest_ingested_at": instant(source["newest_ingested_at"]) if source else None,
        "tables": tables,
        "failures": [
            {**row, "reason": _public_reason(row), "logged_at": instant(row["logged_at"])} for row in failures
        ],
    }


def _public_reason(failure: Row) -> str:
    """Why a task failed, without what a server or driver said: see :func:`web_analytics.api.problems.public_text`."""
    if code := failure["error_code"]:
        return f"ClickHouse, code {code}: {meaning_of(code)}. The task's log has the whole message."
    if strategy := re.match(r"The team selection strategy \w+ failed", failure["reason"]):
        return f"{strategy[0]}. The task's log has the whole message."
    return failure["reason"]


def read_decisions(clickhouse: ClickHouse) -> list[dict[str, Any]]:
    """The newest decisions, newest first."""
    rows = clickhouse.query("api/list_decisions", {"row_limit": DECISIONS_SHOWN})
    return [{**row, "logged_at": instant(row["logged_at"])} for row in rows]


def dates_of_run(clickhouse: ClickHouse, dag_id: str, run_id: str) -> list[date]:
    """The days that a run decided to build, built or validated, oldest first."""
    rows = clickhouse.query("api/list_dates_of_run", {"dag_id": dag_id, "run_id": run_id})
    return [row["partition_date"] for row in rows]


def range_around(dates: Sequence[date], now: datetime, settings: Settings) -> DateRange:
    """The page's usual range, widened to the past so that it contains the dates, as far as a year goes."""
    usual = range_to_show(now, settings)
    first, end = min(dates, default=usual.start), max([usual.end, *(day + ONE_DAY for day in dates)])
    if first >= usual.start:
        return usual
    if (end - first).days > MAX_RANGE_DAYS:
        end = min(first + timedelta(days=MAX_RANGE_DAYS), max(dates) + ONE_DAY)
    return DateRange(first, end)


def instant(moment: datetime) -> str | None:
    """In ISO 8601 with its zone; None for ClickHouse's zero."""
    return None if moment.year == 1970 else moment.isoformat()
