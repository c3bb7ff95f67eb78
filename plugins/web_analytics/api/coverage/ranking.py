"""Which teams have how many gaps, over long ranges and many teams.

Detecting 20,000 teams on 365 days takes seconds, and nearly all of it is the same each time. So the states of months
are kept in ClickHouse (:mod:`web_analytics.detection.kept_states`). A process keeps the counts of each month of a range, only of
teams with gaps. Both hold as long as nothing was written to that month: what is kept is never older than the tables. Single
days are not kept.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from typing import Any

from web_analytics.clickhouse.connection import TOO_LATE, ClickHouse, teams_table
from web_analytics.detection import activity, kept_states
from web_analytics.detection.coverage import CoverageQuery, coverage_query
from web_analytics.detection.kept_states import KeptMonth
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import DateRange, month_of, months
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings

# Four years of one connection, or a year of each of four.
MONTHS_KEPT = 52
WORST_FIRST, OLDEST_GAP_FIRST, BY_ID = ORDERS = ("worst", "oldest", "id")
STATEMENT = "api/count_gaps_of_teams"
CANCELLED = 394


@dataclass(frozen=True)
class TeamGaps:
    """The gaps of one team, in (day, table) pairs by kind.

    :ivar waiting_pageviews: source pageviews of its days with a gap.
    """

    missing: int = 0
    inconsistent: int = 0
    stale: int = 0
    orphan: int = 0
    waiting_pageviews: int = 0
    oldest_gap: date | None = None

    @property
    def total(self) -> int:
        return self.missing + self.inconsistent + self.stale + self.orphan

    def __add__(self, other: TeamGaps) -> TeamGaps:
        days = [day for day in (self.oldest_gap, other.oldest_gap) if day]
        return TeamGaps(
            self.missing + other.missing,
            self.inconsistent + other.inconsistent,
            self.stale + other.stale,
            self.orphan + other.orphan,
            self.waiting_pageviews + other.waiting_pageviews,
            min(days, default=None),
        )


NO_GAPS = TeamGaps()


def in_order(order: str, team_ids: frozenset[int], gaps: Mapping[int, TeamGaps]) -> list[int]:
    """The teams in one of :data:`ORDERS`."""
    if order == BY_ID:
        return sorted(team_ids)
    if order == OLDEST_GAP_FIRST:
        return sorted(
            worst_first(team_ids, gaps), key=lambda each: gaps.get(each, NO_GAPS).oldest_gap or date.max
        )
    return worst_first(team_ids, gaps)


def worst_first(team_ids: frozenset[int], gaps: Mapping[int, TeamGaps]) -> list[int]:
    """The teams by their gaps, then by what waits for being built, then by id."""

    def badness(team_id: int) -> tuple[int, int, int, int]:
        of_team = gaps.get(team_id, NO_GAPS)
        return -of_team.total, -of_team.missing, -of_team.waiting_pageviews, team_id

    return sorted(team_ids, key=badness)


class GapCounts:
    """Counts the gaps of teams, and keeps what cannot have changed. One for a process: a question that several
    threads have at once is asked of ClickHouse once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Future[dict[int, TeamGaps]]] = OrderedDict()

    def questions(
        self,
        settings: Settings,
        days: DateRange,
        team_ids: frozenset[int],
        known: activity.KnownRange,
        versions: Mapping[int, int],
        kept: Sequence[KeptMonth] = (),
    ) -> list[Callable[[ClickHouse], dict[int, TeamGaps]]]:
        """What may be asked side by side; :func:`added_up` makes the gaps of each team that has any of the answers.

        :param days: closed days only.
        :param known: what the kept activity knows.
        :param versions: of the months, see :func:`web_analytics.detection.kept_states.read_versions`.
        :param kept: the months whose states are kept.
        """
        if not team_ids or not days:
            return []
        asked: list[Callable[[ClickHouse], dict[int, TeamGaps]]] = [
            functools.partial(self._of_month, settings, month, frozenset(teams), known, versions)
            for rest, teams in kept_states.not_kept(days, team_ids, kept)
            for month in months(rest)
        ]
        if kept:
            asked.append(functools.partial(self._of_kept, days, team_ids, kept))
        return asked

    def _of_month(
        self,
        settings: Settings,
        days: DateRange,
        team_ids: frozenset[int],
        known: activity.KnownRange,
        versions: Mapping[int, int],
        clickhouse: ClickHouse,
    ) -> dict[int, TeamGaps]:
        query = coverage_query(clickhouse, settings, days, kinds=GAP_KINDS, may_be_behind=True, known=known)
        # A scan of the source sees what no part of these tables shows.
        found_in = versions.get(month_of(days.start), 0) if query.names["activity_is_kept"] else None
        return self._once(clickhouse, query, team_ids, found_in)

    def _of_kept(
        self, days: DateRange, team_ids: frozenset[int], kept: Sequence[KeptMonth], clickhouse: ClickHouse
    ) -> dict[int, TeamGaps]:
        # What is kept under a name never changes.
        return self._once(clickhouse, kept_states.ask_for(kept, days, only_gaps=True), team_ids, "kept")

    def _once(
        self,
        clickhouse: ClickHouse,
        query: CoverageQuery,
        team_ids: frozenset[int],
        found_in: int | str | None,
    ) -> dict[int, TeamGaps]:
        """Asks, or takes the answer of who has asked the same before or asks it now.

        :param found_in: on what the answer depends beside the question; None: it is of this instant.
        """
        # Everything that the answer depends on.
        asked = tuple(
            sorted((name, str(value)) for name, value in {**query.names, **query.parameters}.items())
        )
        key = (clickhouse.conn_id, hash(team_ids), found_in, asked)
        with self._lock:
            is_known = key in self._kept
            answer = self._kept.setdefault(key, Future())
            self._kept.move_to_end(key)
            if len(self._kept) > MONTHS_KEPT:
                self._kept.popitem(last=False)
        if is_known:
            try:
                return answer.result(clickhouse.seconds_left)
            except TimeoutError:
                reason = "another request is still asking the same"
                raise QueryFailed(STATEMENT, clickhouse.origin, TOO_LATE, reason) from None
            except QueryFailed as error:
                if error.code != CANCELLED:
                    raise
                # The client who had asked is gone; this one waits.
                return _ask(clickhouse, query, team_ids)
        is_worth_keeping = False
        try:
            answer.set_result(_ask(clickhouse, query, team_ids))
            is_worth_keeping = found_in is not None
        except BaseException as error:
            answer.set_exception(error)
        finally:
            if not is_worth_keeping:
                with self._lock:
                    self._kept.pop(key, None)
        return answer.result()


def added_up(answers: Iterable[Mapping[int, TeamGaps]]) -> dict[int, TeamGaps]:
    found: dict[int, TeamGaps] = {}
    for gaps_of_part in answers:
        for team_id, gaps in gaps_of_part.items():
            found[team_id] = found.get(team_id, NO_GAPS) + gaps
    return found


def _ask(clickhouse: ClickHouse, query: CoverageQuery, team_ids: frozenset[int]) -> dict[int, TeamGaps]:
    rows = clickhouse.query(
        STATEMENT,
        query.parameters,
        query.names,
        external_tables=[teams_table(team_ids)],
        heavy=True,
    )
    return {
        row["team_id"]: TeamGaps(
            *(int(row[kind]) for kind in ("missing", "inconsistent", "stale", "orphan")),
            int(row["waiting_pageviews"]),
            row["oldest_gap"],
        )
        for row in rows
    }


GAP_COUNTS = GapCounts()
