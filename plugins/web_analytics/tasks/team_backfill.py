"""The steps of ``web_analytics_team_backfill``, one function per task. The DAG file wires them."""

from __future__ import annotations

import logging
import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.conf import TeamBackfillConf
from web_analytics.detection import cost, detector
from web_analytics.detection.detector import DetectionScope
from web_analytics.errors import BadSetting
from web_analytics.reporting import failures as failures_of_run
from web_analytics.reporting.concern import Concern
from web_analytics.rules import time_zones
from web_analytics.rules.cost import Cost, held_by_budget, held_without_approval, total
from web_analytics.rules.decision import GapCount
from web_analytics.rules.partitions import DateRange, closed_part, newest_first
from web_analytics.rules.states import COMPLETE, INCONSISTENT, MISSING, STALE
from web_analytics.settings import MAX_TEAM_BACKFILL_DAYS, Settings
from web_analytics.tasks.backfill import BackfillIncomplete
from web_analytics.tasks.dates import first_cause, in_state, lock_and_stage, wait_while_busy
from web_analytics.tasks.runtime import current_conf, current_task, hand_on, label_map_index, open_clickhouse
from web_analytics.teams import first_backfills
from web_analytics.teams.first_backfills import NO_DATES, Before
from web_analytics.teams.selection import TeamSelection, select_teams
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)

# What a team lacks. Rows of its own without events are left to the detector.
LACKING = (MISSING, INCONSISTENT, STALE)
# What a day must not be afterwards. An event that arrives while the day is built makes it stale again.
STILL_LACKING = (MISSING, INCONSISTENT)
TEAMS_IN_LOG_TABLE = 100
# What plan hands on beside its dates.
LEFT_OUT = "left_out"


@dataclass(frozen=True)
class Periods:
    """The UTC days that each team of a run is backfilled on.

    :ivar refused: why a team has none.
    """

    dates: dict[int, DateRange] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def by_range(self) -> dict[DateRange, frozenset[int]]:
        """The teams of each period: a detection looks at one range of days."""
        teams = defaultdict(set)
        for team_id, dates in self.dates.items():
            teams[dates].add(team_id)
        return {dates: frozenset(ids) for dates, ids in teams.items()}


def plan() -> list[dict[str, str]]:
    """Finds the teams to backfill and what they lack, and records that this run takes them.

    A run whose conf names no team takes every team that is selected and not yet backfilled: it does not matter
    which event started it, or how many.

    :returns: the arguments of each date's task group, newest first; none for a dry run, which prints its plan.
    """
    log.info("Team backfill: looking for teams that are enabled and not yet backfilled.")
    settings, conf = _settings_and_conf()
    task = current_task()
    now = datetime.now(UTC)
    plan_id = uuid.uuid4().hex
    with open_clickhouse(settings, task) as clickhouse:
        before = first_backfills.before_selection(clickhouse)
        selection = select_teams(clickhouse, settings)
        selection.log_counts()
        team_ids = _teams_to_backfill(clickhouse, settings, conf, selection, before)
        periods = choose_periods(_registered(clickhouse, team_ids), settings, conf, team_ids, now)
        if conf.dry_run:
            plan_in_words = describe(clickhouse, settings, conf, periods, now)
            log.info("Dry run, nothing is built. The plan:\n%s", plan_in_words)
            return []
        first_backfills.start(clickhouse, periods.dates, periods.refused, task.run_id, before)
        gaps: list[GapCount] = []
        for dates, ids in periods.by_range().items():
            if dates:
                scope = DetectionScope(dates, LACKING, nightly=False)
                gaps = detector.store_plan(clickhouse, settings, scope, ids, plan_id)  # all stored so far
        found = newest_first(gap.partition_date for gap in gaps)
        taken, estimates, remark = found, [], ""
        if found and (conf.max_rows or settings.approve_above_rows):
            planned = {day: detector.planned_teams(clickhouse, plan_id, day) for day in found}
            sizes, estimated = _estimated(clickhouse, planned, now)
            taken, remark = _affordable(found, estimated, settings, conf)
            estimates = cost.as_json(taken, sizes, estimated)
        days = [day.isoformat() for day in taken]
        reason = "; ".join(filter(None, [_reason(team_ids, found), remark]))
        if remark:
            failures_of_run.remark(remark)
            hand_on(LEFT_OUT, [day.isoformat() for day in found if day not in taken])
        if team_ids:
            history.append(
                clickhouse,
                task,
                kind="decision",
                status="backfill" if days else "skip",
                reason=reason,
                team_count=len(team_ids),
                details={
                    "plan_id": plan_id,
                    "dates": days,
                    "dates_left": len(found) - len(days),
                    "estimates": estimates,
                    "team_ids": sorted(team_ids)[:TEAMS_IN_LOG_TABLE],
                },
            )
    log.info("Team backfill: %s%s.", reason, f": {', '.join(days)}" if days else "")
    return [{"day": day, "plan_id": plan_id} for day in days]


def _settings_and_conf() -> tuple[Settings, TeamBackfillConf]:
    settings = Settings.load()
    return settings, TeamBackfillConf.parse(current_conf(), settings)


def _estimated(
    clickhouse: ClickHouse, teams: Mapping[date, Collection[int]], now: datetime
) -> tuple[dict[date, int], dict[date, Cost]]:
    """Rows of the source, and the estimate, of each date for the teams that lack it."""
    sizes = {day: cost.source_rows(clickhouse, day, team_ids) for day, team_ids in teams.items()}
    return sizes, cost.estimated(sizes, cost.earlier_builds(clickhouse, now))


def _affordable(
    days: Sequence[date], estimates: Mapping[date, Cost], settings: Settings, conf: TeamBackfillConf
) -> tuple[Sequence[date], str]:
    """The dates that a run builds, and what it leaves out, in words. It asks nobody: what a person has to approve is left
    to web_analytics_backfill, whose detection finds the same days."""
    alone, too_dear = held_without_approval(days, estimates, settings.approve_above_rows)
    taken, left = held_by_budget(alone, estimates, conf.max_rows)
    return taken, "; ".join(filter(None, [left, too_dear]))


def _reason(team_ids: Collection[int], days: Collection[date]) -> str:
    if not team_ids:
        return "nobody is to be backfilled"
    teams = _count(team_ids, "team")
    if not days:
        return f"{teams} {'has' if len(team_ids) == 1 else 'have'} all days already, or no events on them"
    return f"{teams} {'lacks' if len(team_ids) == 1 else 'lack'} {_count(days, 'date')}"


def stage_date(day: str, plan_id: str) -> dict[str, str]:
    """Locks the date and stages the sessions of those of its planned teams that are selected and still lack it.

    :raises AirflowSkipException: another run has built all of them meanwhile, or none is selected any more.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    label_map_index(day)
    settings, task = Settings.load(), current_task()
    partition_date = date.fromisoformat(day)
    with open_clickhouse(settings, task, partition_date=day) as clickhouse:
        wait_while_busy(clickhouse, settings, task, day)
        selected = select_teams(clickhouse, settings).team_ids
        team_ids = selected.intersection(detector.planned_teams(clickhouse, plan_id, partition_date))
        lacking = detector.left_of_plan(clickhouse, settings, plan_id, partition_date, team_ids, LACKING)
        if not lacking:
            raise AirflowSkipException(f"{day} is complete by now: another run has built it.")
        return lock_and_stage(clickhouse, settings, task, partition_date, lacking)


def summarise(planned: Collection[Any] | None, left_out: Collection[str] | None) -> dict[str, Any]:
    """Looks again at what the teams of this run lack, and records each as backfilled, failed, or waiting for a next run.

    :param planned: what :func:`plan` returned; None where it failed.
    :param left_out: the days that it left out for what they cost.
    :raises BackfillIncomplete: a team still lacks a day, has no valid settings, or is not what the raw events say.
    """
    if planned is None:
        raise BackfillIncomplete(f"No plan was made. {failures_of_run.first_cause()}".strip())
    settings, conf = _settings_and_conf()
    task = current_task()
    if conf.dry_run:
        return {"succeeded": [], "failed": {}}
    with open_clickhouse(settings, task) as clickhouse:
        before = first_backfills.before_selection(clickhouse)
        taken = first_backfills.taken_by(before.states.values(), task.run_id)
        failures = {team.team_id: team.reason for team in taken if team.dates == NO_DATES}
        periods = Periods({team.team_id: team.dates for team in taken if team.dates != NO_DATES})
        lacking: dict[int, set[date]] = defaultdict(set)
        waiting: dict[int, set[date]] = defaultdict(set)
        for dates, teams in periods.by_range().items():
            for row in detector.list_gaps(clickhouse, settings, dates, teams, STILL_LACKING):
                is_left_out = row["partition_date"].isoformat() in (left_out or ())
                (waiting if is_left_out else lacking)[row["team_id"]].add(row["partition_date"])
        for team_id, days in lacking.items():
            failures[team_id] = f"lacks {', '.join(map(str, newest_first(days)))}"
        waits = {
            team_id: f"left out for what they cost: {', '.join(map(str, newest_first(days)))}"
            for team_id, days in waiting.items()
        }
        # Whoever was switched off while the run was at work was rightly not built.
        left = failures.keys() - select_teams(clickhouse, settings).team_ids if failures else set()
        if left:
            log.info("%s switched off meanwhile.", _count(left, "team"))
            first_backfills.mark_left(clickhouse, left, before)
            taken = [team for team in taken if team.team_id not in left]
            failures = {team_id: reason for team_id, reason in failures.items() if team_id not in left}
        remarks = {
            team.team_id: remark
            for team in taken
            if team.team_id not in failures.keys() | waits.keys()
            and (remark := first_backfills.remark_on(clickhouse, team.team_id))
        }
        first_backfills.finish(clickhouse, taken, failures, waits, remarks, task.try_number)
        wrong = in_state("validate", "failed", [each["day"] for each in planned])
    succeeded = sorted(team.team_id for team in taken if team.team_id not in failures.keys() | waits.keys())
    log.info("%s backfilled%s.", _count(succeeded, "team"), f", {len(waits)} not yet" if waits else "")
    for reason, teams in Counter(waits.values()).items():
        log.info("%d of them: %s. The next run takes them again.", teams, reason)
    for team_id, remark in remarks.items():
        log.warning("Team %d: %s.", team_id, remark)
    if failures:
        team_id, reason = min(failures.items())
        raise BackfillIncomplete(
            f"{len(failures)} of {_count(taken, 'team')} could not be backfilled: team {team_id} {reason}. "
            f"{first_cause()}The next run takes these teams again.",
            Concern(teams=len(failures)),
        )
    if wrong:
        raise BackfillIncomplete(
            f"{len(wrong)} built dates are not what the raw events say: {', '.join(wrong)}. {first_cause()}".strip()
        )
    return {"succeeded": succeeded, "failed": failures}


def choose_periods(
    registered: Mapping[int, Mapping[str, Any]],
    settings: Settings,
    conf: TeamBackfillConf,
    team_ids: Iterable[int],
    now: datetime,
) -> Periods:
    """The closed UTC days that hold each team's last local days. A pure function.

    :param registered: what the registry holds of each registered team; others have the default settings.
    """
    periods = Periods()
    for team_id in team_ids:
        row = registered.get(team_id, {})
        zone = row.get("timezone", "UTC")
        if not time_zones.is_valid(zone):
            periods.refused[team_id] = (
                f"has the time zone {zone!r}; accepted: an IANA name such as Europe/Berlin"
            )
            continue
        wanted = conf.backfill_days or row.get("backfill_days") or settings.backfill_days
        if wanted > MAX_TEAM_BACKFILL_DAYS:
            log.warning(
                "Team %d asks for %d days; a team's first backfill goes back %d days at most.",
                team_id,
                wanted,
                MAX_TEAM_BACKFILL_DAYS,
            )
        local = time_zones.local_lookback(now, zone, min(wanted, MAX_TEAM_BACKFILL_DAYS))
        periods.dates[team_id] = closed_part(local, now, settings.settling, settings.partitions_start_date)
    return periods


def describe(
    clickhouse: ClickHouse, settings: Settings, conf: TeamBackfillConf, periods: Periods, now: datetime
) -> str:
    """The plan of a dry run as an aligned table: what exists already, what is lacking, what that would cost; and what a run
    would leave out of it."""
    complete: dict[date, set[int]] = defaultdict(set)
    lacking: dict[date, set[int]] = defaultdict(set)
    for dates, team_ids in periods.by_range().items():
        for row in detector.list_gaps(clickhouse, settings, dates, team_ids, (*LACKING, COMPLETE)):
            is_complete = row["stats_state"] == row["bounces_state"] == COMPLETE
            (complete if is_complete else lacking)[row["partition_date"]].add(row["team_id"])
    _, estimates = _estimated(clickhouse, lacking, now) if lacking else ({}, {})
    lines = [
        (day, len(complete[day]), len(lacking[day]), *_columns(estimates.get(day, Cost(0, 0, 0.0))))
        for day in newest_first((*complete, *lacking))
    ]
    lines.append(("total", None, None, *_columns(total(list(estimates.values())))))
    planned = text_table(
        ("date", "exists (teams)", "to build (teams)", "rows to read", "MB to read", "seconds"), lines
    )
    refused = [
        f"Team {team_id} cannot be backfilled: it {reason}."
        for team_id, reason in sorted(periods.refused.items())
    ]
    _, remark = _affordable(newest_first(lacking), estimates, settings, conf)
    return "\n".join([planned, *([f"Left out: {remark}."] if remark else []), *refused])


def _teams_to_backfill(
    clickhouse: ClickHouse,
    settings: Settings,
    conf: TeamBackfillConf,
    selection: TeamSelection,
    before: Before,
) -> frozenset[int]:
    """:raises BadSetting: the conf's team does not exist, is not enabled, or is not rolled out yet."""
    if conf.team_id is None:
        if conf.dry_run:
            states = {team_id: team.state for team_id, team in before.states.items()}
            return first_backfills.look(selection.team_ids, states).pending
        return first_backfills.look_and_mark(clickhouse, selection.team_ids, before).pending
    if conf.team_id in selection.team_ids:
        return frozenset([conf.team_id])
    registered = clickhouse.query("teams/read_team", {"team_id": conf.team_id})
    if not registered:
        accepted = "a team that is registered, or given by another strategy; this one is unknown"
    elif not registered[0]["enabled"]:
        accepted = f"an enabled team; enable it with PUT /web-analytics/teams/{conf.team_id}"
    else:
        accepted = (
            "a team that WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES gives and WEB_ANALYTICS_ROLLOUT_PERCENT includes; "
            "this one is enabled, but not selected"
        )
    raise BadSetting("team_id", conf.team_id, accepted)


def _registered(clickhouse: ClickHouse, team_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    teams = teams_table(team_ids)
    rows = clickhouse.query("teams/list_settings", external_tables=[teams])
    return {row["team_id"]: row for row in rows}


def _columns(estimate: Cost) -> tuple[int, float | None, float | None]:
    return estimate.rows, None if estimate.bytes is None else estimate.bytes / 1e6, estimate.seconds


def _count(things: Collection[Any], name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
