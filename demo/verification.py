"""Compares what the tables hold with what demo/model.py makes of the raw events, one by one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from demo import model
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import DateRange
from web_analytics.tables import TABLES

Row = Mapping[str, Any]
TeamDay = tuple[date, int]
Path = tuple[date, int, str]

# So many days of raw rows are in memory at once.
DAYS_AT_ONCE = 7

# uniq() is an estimate, but one that only depends on the set of sessions: the merged states of a table and the
# same function over the raw events must agree to the last digit.
MEASURES = {
    "stats": ("pageviews", "session_estimate"),
    "bounces": ("pageviews", "sessions", "bounces", "duration", "session_estimate"),
}


@dataclass(frozen=True, order=True)
class Difference:
    """One number that is not what the raw events say."""

    day: date
    team_id: int
    table: str
    measure: str
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"team {self.team_id}, {self.day}, web_pre_aggregated_{self.table}, {self.measure}: "
            f"expected {self.expected}, found {self.found}"
        )


@dataclass(frozen=True)
class Comparison:
    """The outcome over all (team, day) of the compared dates.

    :ivar pageviews: what the tables must hold.
    :ivar left_out: pageviews without a valid session, which no table holds.
    :ivar lost: pageviews that the tables fall short of, summed over tables, teams and days.
    :ivar duplicated: pageviews that they exceed, likewise.
    """

    dates: int
    teams: int
    team_days: int
    pageviews: int
    left_out: int
    lost: int
    duplicated: int
    differences: tuple[Difference, ...]

    @property
    def is_exact(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        return (
            f"{'verified' if self.is_exact else 'NOT verified'}: dates={self.dates} tables={len(MEASURES)} "
            f"teams={self.teams} pageviews={self.pageviews} lost={self.lost} duplicated={self.duplicated}"
        )


def expected_rows(
    clickhouse: ClickHouse, dates: DateRange, team_ids: Collection[int], bucket_minutes: int
) -> list[Row]:
    """What the raw events say, one row per (team, day)."""
    return clickhouse.query(
        "validation/oracle_posthog", {**_range(dates, team_ids), "bucket_minutes": bucket_minutes}
    )


@dataclass(frozen=True)
class Truth:
    """What the model says.

    :ivar rows: one row per (team, day), with the columns of the oracle that are compared.
    :ivar paths: pageviews of each path.
    """

    rows: list[Row]
    paths: Counter[Path]


def modelled(
    clickhouse: ClickHouse, dates: DateRange, team_ids: Collection[int], bucket_minutes: int
) -> Truth:
    """What the tables must hold, worked out in Python from the raw rows.

    :param team_ids: all teams if empty.
    """
    numbers: dict[TeamDay, Counter[str]] = defaultdict(Counter)
    paths: Counter[Path] = Counter()
    sessions: set[tuple[int, date, str]] = set()
    for start in list(dates)[::DAYS_AT_ONCE]:
        part = DateRange(start, min(start + timedelta(days=DAYS_AT_ONCE), dates.end))
        rows = read_rows(clickhouse, part, team_ids)
        visits, left_out = model.visits(rows, bucket_minutes)
        for visit in visits:
            if visit.day not in part:
                continue
            numbers[visit.day, visit.team_id].update(
                pageviews=len(visit.pageviews),
                sessions=1,
                bounces=visit.is_bounce,
                duration=visit.seconds,
            )
            sessions.add((visit.team_id, visit.day, visit.session))
            paths.update((visit.day, visit.team_id, model.pathname(row)) for row in visit.pageviews)
        for team_id, bucket in left_out:
            if (day := model.day_of(bucket)) in part:
                numbers[day, team_id]["left_out"] += 1
    estimates = _estimates(clickhouse, sessions)
    rows = [
        {
            "team_id": team_id,
            "day": day,
            **{name: counted[name] for name in ("pageviews", "sessions", "bounces", "duration", "left_out")},
            "session_estimate": estimates.get((day, team_id), 0),
        }
        for (day, team_id), counted in numbers.items()
    ]
    return Truth(rows, paths)


def read_rows(clickhouse: ClickHouse, dates: DateRange, team_ids: Collection[int]) -> Iterator[model.Row]:
    """The raw rows that the buckets of these days can come from."""
    for row in clickhouse.query("demo/raw_rows", _range(dates, team_ids), heavy=True):
        *values, written_at, sorted_by, block, place = row.values()
        *identity, properties = values
        yield model.Row(*identity, (written_at, sorted_by, block, place), properties)


def merged_people(clickhouse: ClickHouse) -> dict[tuple[int, str], UUID]:
    return model.people(
        (
            row["team_id"],
            row["distinct_id"],
            row["person_id"],
            bool(row["is_deleted"]),
            (row["version"], row["block"], row["place"]),
        )
        for row in clickhouse.query("demo/raw_person_overrides")
    )


def _estimates(clickhouse: ClickHouse, sessions: Iterable[tuple[int, date, str]]) -> dict[TeamDay, int]:
    visits = {
        "name": "visits",
        "structure": [("team_id", "Int64"), ("day", "Date"), ("session", "String")],
        "data": [{"team_id": team_id, "day": day, "session": session} for team_id, day, session in sessions],
    }
    rows = clickhouse.query("demo/estimate_sessions", external_tables=[visits])
    return {(row["day"], row["team_id"]): row["session_estimate"] for row in rows}


def stored_paths(clickhouse: ClickHouse, dates: DateRange, team_ids: Collection[int] = ()) -> Counter[Path]:
    """The pageviews that stats holds of each path."""
    rows = clickhouse.query("demo/stored_paths", _range(dates, team_ids))
    return Counter({(row["day"], row["team_id"], row["pathname"]): row["pageviews"] for row in rows})


def different_paths(expected: Counter[Path], stored: Counter[Path]) -> list[Difference]:
    return [
        Difference(day, team_id, "stats", f"pageviews of {pathname}", expected[key], stored[key])
        for key in sorted(expected.keys() | stored.keys())
        if expected[key] != stored[key]
        for day, team_id, pathname in [key]
    ]


def stored_rows(
    clickhouse: ClickHouse, dates: DateRange, team_ids: Collection[int] = ()
) -> dict[str, list[Row]]:
    """What the tables hold, by short table name; of all teams unless some are named."""
    return {
        table.short_name: clickhouse.query(
            f"validation/oracle_stored_{table.short_name}", _range(dates, team_ids)
        )
        for table in TABLES
    }


def compare(
    expected: Iterable[Row],
    stored: Mapping[str, Iterable[Row]],
    dates: DateRange,
    team_ids: Collection[int],
    paths: Iterable[Difference] = (),
    taken: int | None = None,
) -> Comparison:
    """Compares every measure of every (team, day) of the dates.

    :param expected: of any dates and teams; only ``dates`` and ``team_ids`` count.
    :param stored: by short table name. Rows of other teams count as well: nothing is expected of them.
    :param paths: what else is different.
    :param taken: so many pageviews were put into the source on these dates; those that are not even expected are lost.
    """
    truth = {
        key: row for key, row in _by_team_day(expected, dates).items() if row["team_id"] in set(team_ids)
    }
    found = {table: _by_team_day(stored[table], dates) for table in MEASURES}
    keys = sorted({key for key, row in truth.items() if row["pageviews"]}.union(*found.values()))
    differences = [
        Difference(day, team_id, table, measure, wanted, got)
        for day, team_id in keys
        for table, measures in MEASURES.items()
        for measure in measures
        if (wanted := _number(truth, (day, team_id), measure))
        != (got := _number(found[table], (day, team_id), measure))
    ]
    pageviews, left_out = (sum(row[name] for row in truth.values()) for name in ("pageviews", "left_out"))
    never_seen = 0 if taken is None else taken - pageviews - left_out
    if never_seen:
        first_team = min(team_ids, default=0)
        differences.append(
            Difference(dates.start, first_team, "stats", "pageviews taken", taken, pageviews + left_out)
        )
    pageview_gaps = [each.expected - each.found for each in differences if each.measure == "pageviews"]
    return Comparison(
        dates=len({day for day, _ in keys}),
        teams=len(team_ids),
        team_days=len(keys),
        pageviews=pageviews,
        left_out=left_out,
        lost=sum(gap for gap in pageview_gaps if gap > 0) + max(never_seen, 0) * len(MEASURES),
        duplicated=sum(-gap for gap in pageview_gaps if gap < 0) + max(-never_seen, 0) * len(MEASURES),
        differences=(*differences, *paths),
    )


def _range(dates: DateRange, team_ids: Collection[int]) -> dict[str, Any]:
    return {"date_start": dates.start, "date_end": dates.end, "team_ids": sorted(team_ids)}


def _by_team_day(rows: Iterable[Row], dates: DateRange) -> dict[TeamDay, Row]:
    return {(row["day"], row["team_id"]): row for row in rows if row["day"] in dates}


def _number(rows: Mapping[TeamDay, Row], key: TeamDay, measure: str) -> int:
    return rows[key][measure] if key in rows else 0
