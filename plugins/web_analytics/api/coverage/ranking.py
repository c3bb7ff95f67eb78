"""Which teams have how many gaps, over long ranges and many teams.

Detecting 20,000 teams on 365 days takes seconds, and nearly all of it is the same each time. So a process keeps the
counts of each month of a range, only of teams with gaps, as long as nothing was written to that month: what is kept
is never older than the tables. Single days are not kept. The API server counts the last year when it starts.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import product
from typing import Any

from web_analytics.clickhouse.connection import TOO_LATE, ClickHouse, teams_table
from web_analytics.detection import activity, detector
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import DateRange
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tables import TABLES

TABLE_NAMES = (
    "web_analytics_activity",
    "web_analytics_backfill_ledger",
    *(table.name for table in TABLES),
)
# Four years of one connection, or a year of each of four.
MONTHS_KEPT = 52
# Each is one stream in ClickHouse, and takes about 130 MB there for 20,000 teams.
MONTHS_AT_ONCE = 4
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


def months_of(days: DateRange) -> Iterator[DateRange]:
    """The range cut at the first day of each month."""
    start = days.start
    while start < days.end:
        next_month = date(start.year + start.month // 12, start.month % 12 + 1, 1)
        yield DateRange(start, min(next_month, days.end))
        start = next_month


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
        # The teams, by connection, that months were counted of. Teams come and go one by one: of these few the
        # months are counted by themselves.
        self._counted_teams: dict[str, frozenset[int]] = {}

    def count(
        self,
        clickhouse: ClickHouse,
        settings: Settings,
        days: DateRange,
        team_ids: frozenset[int],
        known: activity.KnownRange,
    ) -> dict[int, TeamGaps]:
        """The gaps of each team that has any.

        :param days: closed days only.
        :param known: what the kept activity knows.
        """
        if not team_ids:
            return {}
        counted = self._counted_teams.get(clickhouse.conn_id, frozenset())
        new = team_ids - counted
        if len(new) > len(counted) // 10:
            counted, new = team_ids, frozenset()
            self._counted_teams[clickhouse.conn_id] = counted
        versions = {
            row["month"]: row["version"]
            for row in clickhouse.query("api/read_versions", {"table_names": TABLE_NAMES})
        }

        def of_month(month: DateRange, teams: frozenset[int]) -> dict[int, TeamGaps]:
            query = detector.coverage_query(
                clickhouse, settings, month, kinds=GAP_KINDS, may_be_behind=True, known=known
            )
            version = versions.get(month.start.year * 100 + month.start.month, 0)
            return self._of_month(clickhouse, query, month, teams, version)

        found: dict[int, TeamGaps] = {}
        with ThreadPoolExecutor(MONTHS_AT_ONCE) as pool:
            questions = product(months_of(days), filter(None, (counted, new)))
            for gaps_of_month in pool.map(lambda question: of_month(*question), questions):
                for team_id, gaps in gaps_of_month.items():
                    if team_id in team_ids:
                        found[team_id] = found.get(team_id, NO_GAPS) + gaps
        return found

    def _of_month(
        self,
        clickhouse: ClickHouse,
        query: detector.CoverageQuery,
        days: DateRange,
        team_ids: frozenset[int],
        version: int,
    ) -> dict[int, TeamGaps]:
        # Everything that the answer depends on.
        key = (
            clickhouse.conn_id,
            days,
            hash(team_ids),
            version,
            tuple(sorted((name, str(value)) for name, value in {**query.names, **query.parameters}.items())),
        )
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
        # A scan of the source sees what no part of these tables shows.
        is_worth_keeping = False
        try:
            answer.set_result(_ask(clickhouse, query, team_ids))
            is_worth_keeping = query.names["activity_is_kept"]
        except BaseException as error:
            answer.set_exception(error)
        finally:
            if not is_worth_keeping:
                with self._lock:
                    self._kept.pop(key, None)
        return answer.result()


def _ask(
    clickhouse: ClickHouse, query: detector.CoverageQuery, team_ids: frozenset[int]
) -> dict[int, TeamGaps]:
    with clickhouse.another() as connection:
        rows = connection.query(
            STATEMENT,
            query.parameters,
            query.names,
            external_tables=[teams_table(team_ids)],
            heavy=True,
        )
    clickhouse.statistics += connection.statistics
    return {
        row["team_id"]: TeamGaps(
            *(int(row[kind]) for kind in ("missing", "inconsistent", "stale", "orphan")),
            int(row["waiting_pageviews"]),
            row["oldest_gap"],
        )
        for row in rows
    }


GAP_COUNTS = GapCounts()
