"""What docs/semantics.md says of the states, in plain Python: nothing here asks ClickHouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

TABLES = ("stats", "bounces")
PAGEVIEWS = ("$pageview", "$screen")


@dataclass(frozen=True)
class Row:
    """A row of the source. Its session begins with it, so its bucket is the hour of its own time."""

    team_id: int
    uuid: UUID
    event: str
    timestamp: datetime
    ingested: datetime

    @property
    def identity(self) -> tuple:
        return self.team_id, self.uuid, self.timestamp.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True)
class Build:
    events: frozenset[Row]
    pageviews: int


@dataclass
class Model:
    min_daily_pageviews: int = 0
    stale_min_events: int = 1
    rows: list[Row] = field(default_factory=list)
    builds: dict[tuple[int, date], Build] = field(default_factory=dict)
    stored: dict[tuple[int, date, str], int] = field(default_factory=dict)

    def events(self, team_id: int, day: date) -> frozenset[Row]:
        """The row of each event that holds: the one that was ingested last."""
        holding: dict[tuple, Row] = {}
        for row in self.rows:
            if row.team_id == team_id and row.timestamp.date() == day:
                holding[row.identity] = max(
                    row, holding.get(row.identity, row), key=lambda each: each.ingested
                )
        return frozenset(holding.values())

    def build(self, team_id: int, day: date) -> None:
        events = self.events(team_id, day)
        pageviews = _pageviews(events)
        self.builds[team_id, day] = Build(events, pageviews)
        for table in TABLES:
            self.stored[team_id, day, table] = pageviews

    def state(self, team_id: int, day: date, table: str) -> str:
        events, build = self.events(team_id, day), self.builds.get((team_id, day))
        pageviews, stored = _pageviews(events), self.stored.get((team_id, day, table), 0)
        is_small = pageviews < self.min_daily_pageviews
        if pageviews and not stored:
            return "small" if is_small else "missing"
        if not stored:
            return "idle"
        if build and stored != build.pageviews:
            return "inconsistent"
        difference = max(1, abs(len(events) - len(build.events))) if build and events != build.events else 0
        if pageviews and difference >= self.stale_min_events:
            return "small" if is_small else "stale"
        if not build or not pageviews:
            return "orphan"
        return "complete"


def _pageviews(events: Iterable[Row]) -> int:
    return sum(row.event in PAGEVIEWS for row in events)
