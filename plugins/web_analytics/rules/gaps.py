"""What one team lacks in one table, as ranges of consecutive days. Pure functions of what was detected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from web_analytics.rules.commands import trigger_command
from web_analytics.rules.partitions import ONE_DAY, DateRange, chunks, closed_at
from web_analytics.rules.states import COMPLETE, GAP_KINDS, IDLE, MISSING, OPEN
from web_analytics.text_tables import text_table

MAX_DATES_PER_RUN = 100


@dataclass(frozen=True)
class Gap:
    """Consecutive days of one team and table in one state.

    :ivar kind: missing, inconsistent, stale, orphan; or idle and open, which are no gaps.
    :ivar source_pageviews: raw pageviews of these days that wait to be stored or stored again.
    :ivar age_hours: how long the oldest day has waited since it was closed; None for idle and open days.
    """

    team_id: int
    table_name: str
    kind: str
    partitions: DateRange
    source_pageviews: int
    age_hours: float | None

    def command(self, suffix: str) -> str:
        """The exact command that fills this gap; empty where there is nothing to fill.

        :param suffix: of the region's DAGs, as in :func:`web_analytics.rules.commands.trigger_command`.
        """
        if self.kind not in GAP_KINDS:
            return ""
        return fill_command(self.partitions, [self.kind], [self.team_id], suffix=suffix)

    def to_row(self, suffix: str) -> dict[str, Any]:
        return {
            "table_name": self.table_name,
            "team_id": self.team_id,
            "kind": self.kind,
            "date_start": self.partitions.start.isoformat(),
            "date_end": self.partitions.end.isoformat(),
            "days": len(self.partitions),
            "age_hours": self.age_hours,
            "source_pageviews": self.source_pageviews,
            "command": self.command(suffix),
        }


def fill_command(
    partitions: DateRange,
    kinds: Iterable[str],
    team_ids: Sequence[int] = (),
    *,
    suffix: str,
    dates: int | None = None,
) -> str:
    """The command that fills gaps of these kinds at once, whatever the ≥3 rule says, and builds nothing else; several
    joined by ``&&``, the newest days first, where they have more dates than one run builds.

    :param team_ids: empty for all enabled teams.
    :param suffix: of the region's DAGs, as in :func:`web_analytics.rules.commands.trigger_command`.
    :param dates: how many dates have such a gap; None where all may.
    """
    dates = len(partitions) if dates is None else dates
    pieces = [partitions] if dates <= MAX_DATES_PER_RUN else chunks(partitions, MAX_DATES_PER_RUN)
    return " && ".join(
        _fill_command(piece, set(kinds), team_ids, min(dates, len(piece)), suffix) for piece in pieces
    )


def _fill_command(
    partitions: DateRange, kinds: set[str], team_ids: Sequence[int], dates: int, suffix: str
) -> str:
    conf: dict[str, Any] = {
        "date_start": partitions.start.isoformat(),
        "date_end": partitions.end.isoformat(),
    }
    if team_ids:
        conf["team_ids"] = list(team_ids)
    if kinds == {MISSING}:
        conf["min_missing_partitions"] = 1
    else:
        # Only missing days count in the rule.
        conf["kinds"] = [kind for kind in GAP_KINDS if kind in kinds]
        conf["rebuild"] = True
    conf["max_partitions"] = dates
    return trigger_command("web_analytics_backfill", conf, suffix=suffix)


def consecutive_ranges(states: Mapping[date, str]) -> list[tuple[str, DateRange]]:
    """Days of one state that follow each other without a day between them, oldest first."""
    ranges: list[tuple[str, DateRange]] = []
    for day in sorted(states):
        if ranges:
            state, last = ranges[-1]
            if state == states[day] and last.end == day:
                ranges[-1] = (state, DateRange(last.start, day + ONE_DAY))
                continue
        ranges.append((states[day], DateRange(day, day + ONE_DAY)))
    return ranges


def gaps_of(
    team_id: int,
    table_name: str,
    closed: DateRange,
    known_days: Iterable[date],
    incomplete_days: Iterable[tuple[date, str, int]],
    settling: timedelta,
    now: datetime,
) -> list[Gap]:
    """What a team lacks in a table on the closed days, and its open days with traffic, newest first.

    :param closed: the closed days that were looked at.
    :param known_days: the days on which the team has events or rows, also open ones.
    :param incomplete_days: of these the ones that are not complete: day, state, raw pageviews.
    """
    states: dict[date, str] = dict.fromkeys(closed, IDLE)
    pageviews: dict[date, int] = {}
    for day in known_days:
        states[day] = COMPLETE if day in closed else OPEN
    for day, state, source_pageviews in incomplete_days:
        pageviews[day] = source_pageviews
        if day in closed:
            states[day] = state
    found = []
    for state, partitions in reversed(consecutive_ranges(states)):
        if state == COMPLETE:
            continue
        waited = max(now - closed_at(partitions.start, settling), timedelta())
        found.append(
            Gap(
                team_id,
                table_name,
                state,
                partitions,
                sum(pageviews.get(day, 0) for day in partitions),
                round(waited.total_seconds() / 3600, 1) if state in GAP_KINDS else None,
            )
        )
    return found


def fill_all_command(
    gaps: Iterable[Gap], team_ids: Sequence[int] = (), *, suffix: str, within: DateRange | None = None
) -> str:
    """One command for all these gaps; empty where there is none.

    :param suffix: of the region's DAGs, as in :func:`web_analytics.rules.commands.trigger_command`.
    :param within: the range looked at, where ``gaps`` are not all that were found in it.
    """
    real = [gap for gap in gaps if gap.kind in GAP_KINDS]
    if not real:
        return ""
    if within is not None:
        return fill_command(within, GAP_KINDS, team_ids, suffix=suffix)
    partitions = DateRange(min(gap.partitions.start for gap in real), max(gap.partitions.end for gap in real))
    dates = {day for gap in real for day in gap.partitions}
    kinds = {gap.kind for gap in real}
    return fill_command(partitions, kinds, team_ids, suffix=suffix, dates=len(dates))


def describe(gaps: Sequence[Gap], suffix: str) -> str:
    """The gaps as an aligned table."""
    return text_table(
        ("table", "team", "kind", "from", "before", "days", "age h", "pageviews", "to fill it"),
        [
            (
                gap.table_name,
                gap.team_id,
                gap.kind,
                gap.partitions.start,
                gap.partitions.end,
                len(gap.partitions),
                gap.age_hours,
                gap.source_pageviews,
                gap.command(suffix),
            )
            for gap in gaps
        ],
    )
