"""Finds gaps in a range of partitions and counts them. Reads only, unless a plan is stored."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.conf import BackfillConf
from web_analytics.detection import activity, kept_states
from web_analytics.detection.coverage import CoverageQuery, asks_only_missing, coverage_query, in_pieces
from web_analytics.detection.kept_states import KeptMonth
from web_analytics.errors import QueryFailed
from web_analytics.rules.decision import GapCount, Rule
from web_analytics.rules.partitions import (
    ONE_DAY,
    DateRange,
    closed_part,
    lookback,
    newest_closed_day,
    why_nothing_is_closed,
)
from web_analytics.rules.states import COMPLETE, GAP_KINDS, INCONSISTENT, MISSING
from web_analytics.settings import Settings
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)

# The comprehensive run: of the two schedules, the one that fires at this time.
NIGHTLY = time(2, 0)


@dataclass(frozen=True)
class DetectionScope:
    """What a run looks at.

    :ivar partitions: closed UTC days only, none before the partitions' start date.
    :ivar states: the states of a (team, table, partition) that this run acts on.
    """

    partitions: DateRange
    states: tuple[str, ...]
    nightly: bool


@dataclass(frozen=True)
class Questions:
    """How often dashboards asked for the teams that have a gap on a date.

    :ivar unknown: why nobody can tell; empty where somebody can, or where nobody wanted to know.
    """

    of_dates: Mapping[date, int] = field(default_factory=dict)
    unknown: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "of_dates": {day.isoformat(): count for day, count in self.of_dates.items()},
            "unknown": self.unknown,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Questions:
        return cls(
            {date.fromisoformat(day): count for day, count in told["of_dates"].items()}, told["unknown"]
        )


NOT_COUNTED = Questions()


def is_nightly(logical_date: datetime | None) -> bool:
    """Whether a run stands for the 02:00 slot. A run triggered by hand has an odd instant or none."""
    return logical_date is not None and logical_date.astimezone(UTC).time() == NIGHTLY


def scope_of(
    conf: BackfillConf, settings: Settings, now: datetime, logical_date: datetime | None
) -> DetectionScope:
    """The range and the kinds of gap that a run acts on.

    :param now: the current instant; the lookback counts from its UTC day.
    :param logical_date: the schedule's instant; None for a run without one.
    """
    nightly = is_nightly(logical_date)
    requested = _requested(conf, now)
    states = conf.kinds or (GAP_KINDS if nightly else (MISSING,))
    if conf.rebuild and not conf.kinds:
        states = (*GAP_KINDS, COMPLETE)
    closed = closed_part(requested, now, settings.settling, settings.partitions_start_date)
    return DetectionScope(closed, states, nightly)


def _requested(conf: BackfillConf, now: datetime) -> DateRange:
    if conf.date_start and conf.date_end:
        return DateRange(conf.date_start, conf.date_end)
    return lookback(now.astimezone(UTC).date(), conf.days_back)


def rule_of(
    conf: BackfillConf,
    settings: Settings,
    scope: DetectionScope,
    now: datetime,
    asked: Questions = NOT_COUNTED,
) -> Rule:
    builds_daily = scope.nightly and settings.daily_build
    return Rule(
        min_missing_partitions=conf.min_missing_partitions,
        max_gap_age=settings.max_gap_age,
        settling=settings.settling,
        max_partitions=conf.max_partitions,
        daily_build_date=newest_closed_day(now, settings.settling) if builds_daily else None,
        rebuild=conf.rebuild,
        priority=conf.priority,
        questions=asked.of_dates,
        questions_unknown=asked.unknown,
        kinds=scope.states,
        nothing_closed=why_nothing_is_closed(
            _requested(conf, now), scope.partitions, settings.partitions_start_date
        ),
    )


INCONSISTENT_DAYS_NAMED = 20
# Of so many days it is read what dashboards asked; of one where the log of seven is more than the statement may read.
DAYS_ASKED = (7, 1)
NO_QUERY_LOG = {60: "the server keeps no query_log", 497: "the user may not read system.query_log"}
TOO_COSTLY = (158, 159, 160, 241, 307)


def count_gaps(
    clickhouse: ClickHouse, settings: Settings, scope: DetectionScope, team_ids: Collection[int]
) -> list[GapCount]:
    """Detects without writing anything."""
    rows = []
    known = activity.known_range(clickhouse, settings)
    for days in in_pieces(scope.partitions, len(team_ids)):
        part = coverage_query(clickhouse, settings, days, kinds=scope.states, known=known)
        rows += clickhouse.query(
            "detection/count_gaps",
            {
                **part.parameters,
                "states": scope.states,
                "priority_team_ids": list(settings.priority_team_ids),
            },
            {**part.names, "stored": False},
            external_tables=[teams_table(team_ids)],
            heavy=True,
        )
    return [GapCount.from_row(row) for row in rows]


def store_plan(
    clickhouse: ClickHouse,
    settings: Settings,
    scope: DetectionScope,
    team_ids: Collection[int],
    plan_id: str,
) -> list[GapCount]:
    """Brings the kept activity up to date, detects, and stores which teams of which partitions were found, under
    ``plan_id``."""
    known = activity.known_range(clickhouse, settings)
    if activity.is_kept(settings):
        known = activity.refresh(clickhouse, settings, scope.partitions, known)
    insert_plan(clickhouse, settings, scope.partitions, team_ids, plan_id, scope.states, known)
    if INCONSISTENT in scope.states:
        _log_inconsistent(clickhouse, plan_id)
    rows = clickhouse.query(
        "detection/count_gaps",
        {"plan_id": plan_id, "states": scope.states, "priority_team_ids": list(settings.priority_team_ids)},
        {"stored": True},
    )
    return [GapCount.from_row(row) for row in rows]


def insert_plan(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    plan_id: str,
    kinds: Sequence[str],
    known: activity.KnownRange,
) -> None:
    """Stores the gaps of a range; of a long one those of months whose states are kept are taken from there."""
    only_missing = asks_only_missing(settings, kinds)
    kept: list[KeptMonth] = []
    is_long = len(days) > kept_states.LOOKED_AT_ANYWAY_DAYS
    if is_long and not only_missing and set(kinds) <= set(GAP_KINDS):
        kept = kept_states.find(clickhouse, settings, days, team_ids, known)

    def store(query: CoverageQuery, teams: Collection[int]) -> None:
        clickhouse.run(
            "detection/insert_plan",
            {**query.parameters, "plan_id": plan_id, "states": kinds},
            query.names,
            external_tables=[teams_table(teams)],
            heavy=True,
        )

    if kept:
        store(kept_states.ask_for(kept, days, only_gaps=True), team_ids)
    for rest, teams in kept_states.not_kept(days, team_ids, kept):
        for piece in in_pieces(rest, len(teams), only_missing=only_missing):
            store(
                coverage_query(clickhouse, settings, piece, kinds=kinds, may_be_behind=True, known=known),
                teams,
            )


def count_questions(
    clickhouse: ClickHouse,
    settings: Settings,
    scope: DetectionScope,
    team_ids: Collection[int],
    plan_id: str | None,
    now: datetime,
) -> Questions:
    """What dashboards asked for in the last days, of what a run has found; from the server's query log.

    :param plan_id: under which the gaps are stored; None to detect them anew, in a dry run.
    """
    for days in DAYS_ASKED:
        counted: dict[date, int] = {}
        try:
            for piece in [scope.partitions] if plan_id else in_pieces(scope.partitions, len(team_ids)):
                query = coverage_query(clickhouse, settings, piece, kinds=scope.states)
                rows = clickhouse.query(
                    "detection/count_questions",
                    {
                        **query.parameters,
                        "states": scope.states,
                        "asked_since": now - timedelta(days=days),
                        **({"plan_id": plan_id} if plan_id else {}),
                    },
                    {**query.names, "stored": plan_id is not None},
                    external_tables=[] if plan_id else [teams_table(team_ids)],
                    heavy=True,
                )
                counted |= {row["partition_date"]: int(row["questions"]) for row in rows}
            log.info(
                "Dashboards asked %d times in the last %d days for teams on dates with a gap.",
                sum(counted.values()),
                days,
            )
            return Questions(counted)
        except QueryFailed as failure:
            if failure.code in NO_QUERY_LOG:
                unknown = NO_QUERY_LOG[failure.code]
                break
            if failure.code not in TOO_COSTLY:
                raise
            unknown = f"the query log of the last {days} days is too large to be read"
            log.info("%s", failure)
    log.warning("What dashboards ask for cannot be told: %s. The newest dates go first.", unknown)
    return Questions(unknown=unknown)


def _log_inconsistent(clickhouse: ClickHouse, plan_id: str) -> None:
    for row in clickhouse.query(
        "detection/list_inconsistent", {"plan_id": plan_id, "row_limit": INCONSISTENT_DAYS_NAMED}
    ):
        log.warning(
            "%s, team %d is inconsistent: by the ledger %s holds %d pageviews of build %s.",
            row["partition_date"],
            row["team_id"],
            row["table_name"],
            row["pageviews"],
            row["build"],
        )


def planned_teams(clickhouse: ClickHouse, plan_id: str, partition_date: date) -> list[int]:
    rows = clickhouse.query(
        "detection/read_planned_teams", {"plan_id": plan_id, "partition_date": partition_date}
    )
    return [row["team_id"] for row in rows]


def left_of_plan(
    clickhouse: ClickHouse,
    settings: Settings,
    plan_id: str,
    partition_date: date,
    team_ids: Collection[int],
    states: tuple[str, ...],
) -> frozenset[int]:
    """Those of a plan's teams that are still in one of these states on a day. Where nobody has built any of them since
    the plan was made, all are: the detection is asked only where somebody has."""
    plan = {"plan_id": plan_id, "partition_date": partition_date}
    if not clickhouse.query("detection/count_built_since_plan", plan)[0]["teams"]:
        return frozenset(team_ids)
    # The plan has refreshed the kept activity, and whoever has built the day since has recorded what they read.
    day = DateRange(partition_date, partition_date + ONE_DAY)
    still = list_gaps(clickhouse, settings, day, team_ids, states, may_be_behind=True)
    return frozenset(row["team_id"] for row in still)


def list_gaps(
    clickhouse: ClickHouse,
    settings: Settings,
    days: DateRange,
    team_ids: Collection[int],
    states: tuple[str, ...],
    *,
    may_be_behind: bool = False,
) -> list[dict[str, Any]]:
    """The team-days in one of these states, newest first, without writing anything.

    :param may_be_behind: as the kept activity was refreshed last; otherwise with what was ingested since.
    """
    if not days or not team_ids:
        return []
    coverage = coverage_query(clickhouse, settings, days, kinds=states, may_be_behind=may_be_behind)
    return clickhouse.query(
        "detection/list_gaps",
        {**coverage.parameters, "states": states},
        coverage.names,
        external_tables=[teams_table(team_ids)],
        heavy=True,
    )


def describe_plan(dates: Sequence[date], gaps: Sequence[GapCount]) -> str:
    """What the dates of a plan lack, as an aligned table."""
    return text_table(
        ("date", "table", "state", "teams", "pageviews"),
        [
            (day, gap.table_name, gap.state, gap.teams, gap.source_pageviews)
            for day in dates
            for gap in gaps
            if gap.partition_date == day
        ],
    )
