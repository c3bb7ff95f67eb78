"""Compares what the tables hold with what an independent oracle finds in the raw events.

A team's day in one table is *exact*, *small* (the table has no rows, and too few pageviews for a build), *missing* (the
source has pageviews, the table no rows), *stale* (the source holds other events than its build read, and the table
still holds what was built) or *wrong*. Only missing and wrong are failures: a stale day was right when it was built.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from web_analytics.clickhouse import history, sql
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import BadSetting, SchemaMismatch
from web_analytics.regions import region_suffix
from web_analytics.rules.commands import trigger_command
from web_analytics.rules.gaps import MAX_DATES_PER_RUN, consecutive_ranges
from web_analytics.rules.partitions import ONE_DAY, DateRange, chunks
from web_analytics.settings import Settings
from web_analytics.tables import BOUNCES, STATS, TABLES, PreAggregatedTable
from web_analytics.teams.selection import select_teams
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)

EXACT, SMALL, STALE, MISSING, WRONG = "exact", "small", "stale", "missing", "wrong"
NOTHING_TO_CHECK = "nothing to check"
# From harmless to bad: the worst verdict of a day's teams and tables is the day's.
VERDICTS = (NOTHING_TO_CHECK, EXACT, SMALL, STALE, MISSING, WRONG)
FAILURES = (MISSING, WRONG)

MEASURES = {
    STATS: ("pageviews", "session_estimate", "buckets", "placement"),
    BOUNCES: ("pageviews", "sessions", "session_estimate", "bounces", "duration", "buckets", "placement"),
}
# Tell rows of another bucket width, whose totals are the same.
BUCKET_MEASURES = ("buckets", "placement")
# Both tables aggregate the same sessions, so these agree whatever the source holds by now.
SHARED_MEASURES = ("pageviews", "session_estimate", "persons", "buckets", "placement")
BOTH_TABLES = "stats against bounces"

# uniq() is off by about 0.5 % for large sets. A build counts the people of its time: no fewer than there are now that more
# of them are merged, and no more than there would be if nobody were.
PERSONS_TOLERANCE, PERSONS_SLACK = 0.03, 2

# A list of ids travels in the statement's text; longer ones are filtered here instead.
LONGEST_ID_LIST = 200
WORST_ROWS = 50
# So often a day is read again that is published at that moment.
READINGS = 5
# And so long it is waited for a publishing that is under way: between its two entries in the ledger one table may be old.
# On a day that is inconsistent for good, so much time is lost.
PUBLISHING_SECONDS, POLL_SECONDS = 2.0, 0.1
DIFFERENCES_IN_LOG_TABLE = 10

Row = Mapping[str, Any]


class ValidationFailed(RuntimeError):
    """The tables do not hold what the raw events say."""

    code = "validation_failed"


@dataclass(frozen=True)
class Difference:
    """One number of one (team, day, table) that is not as expected."""

    day: str
    team_id: int
    table_name: str
    verdict: str
    measure: str
    expected: int
    found: int

    @property
    def severity(self) -> tuple[int, bool, int]:
        return (
            VERDICTS.index(self.verdict),
            self.measure == "pageviews",
            abs(self.expected - self.found),
        )


@dataclass(frozen=True)
class DayResult:
    """The outcome for one day.

    :ivar team_days: how many (team, table) of the day were compared.
    :ivar verdicts: how many of them are exact, stale, missing and wrong.
    :ivar team_ids: the teams that are not exact.
    :ivar differences: the worst ones.
    """

    day: str
    verdict: str
    teams: int
    pageviews: int
    left_out: int
    verdicts: dict[str, int]
    team_ids: list[int]
    differences: list[Difference] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return self.verdict in FAILURES

    def to_xcom(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_xcom(cls, value: Mapping[str, Any]) -> DayResult:
        return cls(**{**value, "differences": [Difference(**each) for each in value["differences"]]})

    def sentence(self) -> str:
        if self.verdict == NOTHING_TO_CHECK:
            return f"{self.day}: nothing to check, neither the source nor the tables have anything"
        counts = ", ".join(f"{self.verdicts[name]} {name}" for name in VERDICTS if self.verdicts.get(name))
        return f"{self.day}: {self.verdict} ({self.teams} teams, {self.pageviews} pageviews; {counts})"


def compare_day(
    day: date,
    team_ids: Collection[int],
    expected: Iterable[Row],
    stored: Mapping[PreAggregatedTable, Iterable[Row]],
    ledger: Iterable[Row],
    *,
    changed: Collection[tuple[str, int]] = (),
    min_daily_pageviews: int = 0,
) -> DayResult:
    """The verdict on one day: a pure function of what was read.

    :param expected: rows of the oracle.
    :param stored: rows of validation/stored_measures, by table.
    :param ledger: rows of validation/ledger_entries.
    :param changed: (table, team) whose build read other events than the source holds.
    :param min_daily_pageviews: a day with fewer is not built.
    """
    wanted_teams = set(team_ids)
    truth = _by_team(expected, wanted_teams)
    found = {table: _by_team(stored[table], wanted_teams) for table in TABLES}
    built = {(row["table_name"], row["team_id"]): row for row in ledger if row["team_id"] in wanted_teams}
    teams = sorted({team for team, row in truth.items() if row["pageviews"]}.union(*found.values()))
    verdicts: Counter[str] = Counter()
    differences: list[Difference] = []
    for team_id in teams:
        of_team = truth.get(team_id)
        rows = {table: found[table].get(team_id) for table in TABLES}
        for table in TABLES:
            unequal = _unequal(table, of_team, rows[table])
            verdict = EXACT
            if unequal:
                key = table.name, team_id
                verdict = _verdict(of_team, rows[table], built.get(key), key in changed, min_daily_pageviews)
            if verdict == SMALL:
                unequal = []
            verdicts[verdict] += 1
            differences += [
                Difference(day.isoformat(), team_id, table.name, verdict, *numbers) for numbers in unequal
            ]
        if all(rows.values()):
            apart = _differing(SHARED_MEASURES, rows[STATS], rows[BOUNCES])
            verdicts[WRONG] += bool(apart)
            differences += [
                Difference(day.isoformat(), team_id, BOTH_TABLES, WRONG, *numbers) for numbers in apart
            ]
    differences.sort(key=lambda difference: difference.severity, reverse=True)
    worst = max((name for name in VERDICTS if verdicts[name]), key=VERDICTS.index, default=NOTHING_TO_CHECK)
    return DayResult(
        day=day.isoformat(),
        verdict=worst,
        teams=len(teams),
        pageviews=sum(row["pageviews"] for row in truth.values()),
        left_out=sum(row["left_out"] for row in truth.values()),
        verdicts=dict(verdicts),
        team_ids=sorted({difference.team_id for difference in differences}),
        differences=differences[:WORST_ROWS],
    )


def check_day(
    clickhouse: ClickHouse, settings: Settings, partition_date: date, team_ids: Collection[int]
) -> DayResult:
    """Reads the day from the raw events, from both tables and from the ledger, and compares.

    :param team_ids: left out are those that a cleanup has disabled and deleted meanwhile.
    :raises BadSetting: the source has no oracle.
    """
    oracle = oracle_of(settings)
    if not team_ids:
        return compare_day(partition_date, (), (), {table: () for table in TABLES}, ())
    parameters = {
        "date_start": partition_date,
        "date_end": partition_date + ONE_DAY,
        "team_ids": sorted(team_ids) if len(team_ids) <= LONGEST_ID_LIST else [],
    }
    for _ in range(READINGS):
        result, ledger = _compare_once(clickhouse, settings, oracle, partition_date, team_ids, parameters)
        # Whoever has built the day since it was read has taken in what the source got meanwhile.
        if not result.failed or _builds(ledger) == _builds(
            clickhouse.query("validation/ledger_entries", parameters)
        ):
            break
        log.info("The day was published while it was compared; comparing it once more.")
    return result


def _compare_once(
    clickhouse: ClickHouse,
    settings: Settings,
    oracle: str,
    partition_date: date,
    team_ids: Collection[int],
    parameters: Mapping[str, Any],
) -> tuple[DayResult, list[dict[str, Any]]]:
    """:returns: the verdict, and the ledger as it was when the tables were read."""
    people_are_merged = bool(clickhouse.query("source/has_person_overrides")[0]["has_person_overrides"])
    # The tables before the source: an event that arrives in between makes the day stale, not wrong.
    ledger, stored = _read_stored(clickhouse, parameters)
    expected = clickhouse.query(
        oracle,
        {**parameters, "bucket_minutes": settings.bucket_minutes},
        {"with_people": True, "people_are_merged": people_are_merged},
        heavy=True,
    )

    def compared(teams: Collection[int], changed: Collection[tuple[str, int]] = ()) -> DayResult:
        return compare_day(
            partition_date,
            teams,
            expected,
            stored,
            ledger,
            changed=changed,
            min_daily_pageviews=settings.min_daily_pageviews,
        )

    result = compared(team_ids)
    if not result.differences:
        return result, ledger
    # A cleanup may have disabled and deleted a team since it was chosen.
    if emptied := {row["team_id"] for row in ledger if not row["build"]}:
        team_ids = frozenset(team_ids) - (emptied - select_teams(clickhouse, settings).team_ids)
    # Only now: it reads the source once more.
    changed = clickhouse.query(
        "validation/changed_teams",
        parameters,
        {"bucket_minutes": settings.bucket_minutes},
        external_tables=[teams_table(team_ids)],
        heavy=True,
    )
    return compared(team_ids, {(row["table_name"], row["team_id"]) for row in changed}), ledger


def _read_stored(
    clickhouse: ClickHouse, parameters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[PreAggregatedTable, list[dict[str, Any]]]]:
    """The ledger and both tables as they are between two publishings: what is published meanwhile would be in one
    table and not yet in the other."""
    deadline = time.monotonic() + PUBLISHING_SECONDS
    while _is_being_published(ledger := clickhouse.query("validation/ledger_entries", parameters)):
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS)
    for _ in range(READINGS):
        stored = {
            table: clickhouse.query(
                "validation/stored_measures",
                parameters,
                {"table": table.name, "counts_sessions": table == BOUNCES},
                heavy=True,
            )
            for table in TABLES
        }
        before, ledger = ledger, clickhouse.query("validation/ledger_entries", parameters)
        if _builds(before) == _builds(ledger):
            break
        log.info("The day was published while it was read; reading it once more.")
    return ledger, stored


def _is_being_published(ledger: Iterable[Row]) -> bool:
    """Whether the tables of a team's day are of different builds."""
    builds: dict[int, set[str]] = {}
    for row in ledger:
        builds.setdefault(row["team_id"], set()).add(row["build"])
    return any(len(of_team) > 1 for of_team in builds.values())


def _builds(ledger: Iterable[Row]) -> dict[tuple[str, int], str]:
    return {(row["table_name"], row["team_id"]): row["build"] for row in ledger}


def check_and_record(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Collection[int],
) -> DayResult:
    """Compares one day and writes the verdict to web_analytics_backfill_log."""
    started, first_statement = time.monotonic(), len(clickhouse.statistics)
    result = check_day(clickhouse, settings, partition_date, team_ids)
    statements = clickhouse.statistics[first_statement:]
    history.append(
        clickhouse,
        task,
        kind="validation",
        status="failed" if result.failed else "succeeded",
        reason=result.sentence(),
        partition_date=partition_date,
        seconds=time.monotonic() - started,
        rows_read=sum(statement.rows_read for statement in statements),
        bytes_read=sum(statement.bytes_read for statement in statements),
        team_count=result.teams,
        query_id=statements[-1].query_id if statements else "",
        details={
            "verdict": result.verdict,
            "verdicts": result.verdicts,
            "pageviews": result.pageviews,
            "left_out": result.left_out,
            "differences": [asdict(each) for each in result.differences[:DIFFERENCES_IN_LOG_TABLE]],
        },
    )
    return result


def raise_if_failed(result: DayResult) -> None:
    """:raises ValidationFailed: a number is not what the raw events say; events that arrived since the build
    are no failure.
    """
    if result.failed:
        raise ValidationFailed(
            f"{_describe_worst(result.differences[0])} To build the day again: {next_command([result])}"
        )


def has_oracle(settings: Settings) -> bool:
    return sql.exists(_oracle_path(settings))


def _oracle_path(settings: Settings) -> str:
    return f"validation/oracle_{settings.source}"


def oracle_of(settings: Settings) -> str:
    """The statement that knows the right answer for the configured source.

    :raises BadSetting: there is none.
    """
    path = _oracle_path(settings)
    if not has_oracle(settings):
        raise BadSetting(
            "WEB_ANALYTICS_SOURCE",
            settings.source,
            f"for validation a source with an oracle of its own, include/sql/{path}.sql",
        )
    return path


def check_schema(clickhouse: ClickHouse) -> None:
    """Compares columns, engine and keys of both targets with include/sql/schema.

    :raises SchemaMismatch: the first thing that is not as created there.
    """
    for table in TABLES:
        expected = expected_schema(table)
        keys = clickhouse.query("schema/table_keys", {"table_name": table.name})
        if not keys:
            raise SchemaMismatch(f"The table {table.name} does not exist; run web_analytics_setup first.")
        columns = {
            row["name"]: row["type"]
            for row in clickhouse.query("schema/table_columns", {"table_name": table.name})
        }
        found = {**{f"column {name}": value for name, value in columns.items()}, **keys[0]}
        del found["primary_key"]  # the beginning of the sorting key that a migrated table had first
        # On a cluster the engine is ReplicatedAggregatingMergeTree, in ClickHouse Cloud SharedAggregatingMergeTree.
        found["engine"] = re.sub("^(Replicated|Shared)", "", found["engine"])
        for name in (*expected, *(name for name in found if name not in expected)):
            if expected.get(name) != found.get(name):
                raise SchemaMismatch(
                    f"{table.name} has {name} {found.get(name, 'not at all')!r}, expected "
                    f"{expected.get(name, 'not at all')!r} as in include/sql/schema/create_{table.short_name}.sql."
                )


def expected_schema(table: PreAggregatedTable) -> dict[str, str]:
    """Columns, engine and keys that a target's CREATE statement gives it."""
    text = sql.render(f"schema/create_{table.short_name}", {"table": table.name})
    body, options = text.split("\n(\n", 1)[1].split("\n)\n", 1)
    columns = (column.split(maxsplit=1) for column in re.split(r",(?![^()]*\))", body))
    expected = {f"column {name}": kind.strip() for name, kind in columns}
    for name, pattern in (
        ("engine", r"^ENGINE = (\w+)"),
        ("partition_key", r"^PARTITION BY (.+)$"),
        ("sorting_key", r"^ORDER BY \((.+)\)$"),
    ):
        expected[name] = re.search(pattern, options, re.MULTILINE)[1]
    return expected


def next_command(results: Sequence[DayResult]) -> str:
    """The exact commands that build again what is not exact and nothing else, the newest days first, joined by ``&&``;
    empty where everything is exact."""
    teams_of = {date.fromisoformat(result.day): result.team_ids for result in results if result.team_ids}
    ranges = [days for _, days in consecutive_ranges(dict.fromkeys(teams_of, WRONG))]
    pieces = [piece for days in ranges for piece in chunks(days, MAX_DATES_PER_RUN)]
    return " && ".join(
        _rebuild_command(piece, {team_id for day in piece for team_id in teams_of[day]})
        for piece in sorted(pieces, key=lambda piece: piece.start, reverse=True)
    )


def _rebuild_command(days: DateRange, team_ids: Collection[int]) -> str:
    conf: dict[str, Any] = {"date_start": days.start.isoformat(), "date_end": days.end.isoformat()}
    if len(team_ids) <= LONGEST_ID_LIST:
        conf["team_ids"] = sorted(team_ids)
    conf["rebuild"] = True
    conf["max_partitions"] = len(days)
    return trigger_command("web_analytics_backfill", conf, suffix=region_suffix())


def worst(results: Iterable[DayResult]) -> list[Difference]:
    every = [difference for result in results for difference in result.differences]
    return sorted(every, key=lambda difference: difference.severity, reverse=True)[:WORST_ROWS]


def describe(results: Sequence[DayResult]) -> str:
    """The outcome as two aligned tables: the days, then the worst differences."""
    days = text_table(
        ("date", "verdict", "teams", "pageviews", "left out", *VERDICTS[1:]),
        [
            (
                result.day,
                result.verdict,
                result.teams,
                result.pageviews,
                result.left_out,
                *(result.verdicts.get(name, 0) for name in VERDICTS[1:]),
            )
            for result in results
        ],
    )
    if not (differences := worst(results)):
        return days
    return f"{days}\n\n" + text_table(
        ("date", "team", "table", "verdict", "measure", "expected", "found"),
        [
            (each.day, each.team_id, each.table_name, each.verdict, each.measure, each.expected, each.found)
            for each in differences
        ],
    )


def failure_sentence(results: Sequence[DayResult]) -> str:
    """What is wrong in one sentence, with the worst example."""
    failed = [result for result in results if result.failed]
    example = worst(failed)[0]
    return (
        f"{len(failed)} of {len(results)} days are not what the raw events say, worst first: "
        f"{_describe_worst(example)} To build them again: {next_command(results)}"
    )


def _describe_worst(difference: Difference) -> str:
    if difference.table_name == BOTH_TABLES:
        return (
            f"{difference.day}, team {difference.team_id}: {STATS.name} holds {difference.expected} "
            f"{difference.measure}, {BOUNCES.name} {difference.found}."
        )
    return (
        f"{difference.day}, team {difference.team_id}, {difference.table_name} is {difference.verdict}: it holds "
        f"{difference.found} {difference.measure}, the raw events {difference.expected}."
    )


def _by_team(rows: Iterable[Row], team_ids: set[int]) -> dict[int, Row]:
    return {row["team_id"]: row for row in rows if row["team_id"] in team_ids}


def _unequal(
    table: PreAggregatedTable, expected: Row | None, found: Row | None
) -> list[tuple[str, int, int]]:
    unequal = _differing(MEASURES[table], expected, found)
    fewest, most = _number(expected, "persons"), _number(expected, "persons_unmerged")
    persons = _number(found, "persons")
    if persons < fewest - _slack(fewest) or persons > max(fewest, most) + _slack(max(fewest, most)):
        unequal.append(("persons", fewest, persons))
    return unequal


def _differing(
    measures: Iterable[str], expected: Row | None, found: Row | None
) -> list[tuple[str, int, int]]:
    pairs = [(measure, _number(expected, measure), _number(found, measure)) for measure in measures]
    differing = [pair for pair in pairs if pair[1] != pair[2]]
    if any(measure == "pageviews" for measure, *_ in differing):
        # Other pageviews lie in other buckets: that says nothing more.
        return [pair for pair in differing if pair[0] not in BUCKET_MEASURES]
    return differing


def _slack(persons: int) -> float:
    return max(PERSONS_SLACK, PERSONS_TOLERANCE * persons)


def _number(row: Row | None, measure: str) -> int:
    return int(row.get(measure, 0)) if row else 0


def _verdict(
    expected: Row | None, found: Row | None, built: Row | None, changed: bool, min_daily_pageviews: int
) -> str:
    """Why an unequal (team, day, table) is unequal."""
    if found is None:
        return SMALL if _number(expected, "pageviews") < min_daily_pageviews else MISSING
    # Other events explain a difference only as long as there are any, and the table still holds what was built.
    if (
        changed
        and _number(expected, "pageviews")
        and built is not None
        and found["pageviews"] == built["pageviews"]
        and found["session_estimate"] == built["sessions"]
    ):
        return STALE
    return WRONG
