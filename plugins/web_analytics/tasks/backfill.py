"""The steps of ``web_analytics_backfill``, one function per task. The DAG file wires them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from web_analytics.build import locks
from web_analytics.build.locks import Owner
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.conf import BackfillConf
from web_analytics.detection import cost, detector
from web_analytics.errors import BadSetting
from web_analytics.regions import region_suffix
from web_analytics.reporting import failures, step_log
from web_analytics.reporting.concern import Concern
from web_analytics.rules.cost import Cost, in_words, needs_approval, total, within_budget
from web_analytics.rules.decision import MOST_QUERIED, GapCount, decide
from web_analytics.rules.gaps import fill_command
from web_analytics.rules.partitions import ONE_DAY, DateRange, closed_at
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tasks import dates
from web_analytics.tasks.approval import is_approved, responder
from web_analytics.tasks.runtime import (
    current_conf,
    current_task,
    label_map_index,
    open_clickhouse,
    run_activity,
)
from web_analytics.teams import first_backfills
from web_analytics.teams.selection import select_teams
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)


# Of the teams that a conf names, so many are told in the decision.
TEAMS_IN_LOG = 100

ASKING_TASK = "approve"


class BackfillIncomplete(RuntimeError):
    """At least one planned date was not published, or is not what the raw events say."""

    code = "backfill_incomplete"

    def __init__(self, sentence: str, concern: Concern | None = None):
        super().__init__(sentence)
        self.concern = concern or Concern()


def _settings_and_conf() -> tuple[Settings, BackfillConf]:
    settings = Settings.load()
    return settings, BackfillConf.parse(current_conf(), settings)


def detect(logical_date: datetime | None) -> dict[str, Any]:
    """Checks settings and conf, selects the teams, finds the gaps of the run's range and stores them as its plan; a dry run
    stores nothing.

    :returns: dates and counts only: ``plan_id`` (None in a dry run), the range, the number of teams and one
        row per (partition, table, state); ``selected``: how many teams each selection strategy gives, and how many are
        ``waiting`` for their first backfill, at which a dry run does not look.
    """
    settings, conf = _settings_and_conf()
    now = datetime.now(UTC)
    scope = detector.scope_of(conf, settings, now, logical_date)
    plan_id = None if conf.dry_run else uuid.uuid4().hex
    days = {"date_start": scope.partitions.start, "date_end": scope.partitions.end}
    with open_clickhouse(settings, current_task(), **days) as clickhouse:
        before = None if conf.dry_run else first_backfills.before_selection(clickhouse)
        everyone = select_teams(clickhouse, settings)
        teams = everyone.restricted_to(conf.team_ids)
        teams.log_counts()
        waiting: Collection[int] = ()
        if before:
            waiting = first_backfills.look_and_mark(clickhouse, everyone.team_ids, before).pending
        step_log.tell(teams=len(teams))
        if not scope.partitions or not teams:
            gaps = []
        elif plan_id is None:
            gaps = detector.count_gaps(clickhouse, settings, scope, teams.team_ids)
        else:
            gaps = detector.store_plan(clickhouse, settings, scope, teams.team_ids, plan_id)
        asked = detector.NOT_COUNTED
        if gaps and conf.priority == MOST_QUERIED:
            asked = detector.count_questions(clickhouse, settings, scope, teams.team_ids, plan_id, now)
    if waiting:
        log.info("%d teams wait for their first backfill; web_analytics_team_backfill is told.", len(waiting))
    log.info(
        "Looked at %d teams on %d dates from %s up to, not including, %s for %s.",
        len(teams),
        len(scope.partitions),
        scope.partitions.start,
        scope.partitions.end,
        ", ".join(scope.states),
    )
    return {
        "plan_id": plan_id,
        "detected_at": now.isoformat(),
        "date_start": scope.partitions.start.isoformat(),
        "date_end": scope.partitions.end.isoformat(),
        "states": list(scope.states),
        "nightly": scope.nightly,
        "teams": len(teams),
        "questions": asked.to_json(),
        "selected": {**teams.counts(), "waiting": len(waiting)},
        "gaps": [
            {
                "partition_date": gap.partition_date.isoformat(),
                "table_name": gap.table_name,
                "state": gap.state,
                "teams": gap.teams,
                "source_pageviews": gap.source_pageviews,
                "priority_teams": gap.priority_teams,
            }
            for gap in gaps
        ],
    }


def decide_run(detected: dict[str, Any]) -> dict[str, Any]:
    """Applies the rule and the budget, logs the decision and writes it to the history.

    :returns: the decision with the numbers behind it, among them what each of its dates is estimated to cost.
    """
    settings, conf = _settings_and_conf()
    gaps = [GapCount.from_row(row) for row in detected["gaps"]]
    now, task = datetime.fromisoformat(detected["detected_at"]), current_task()
    asked = detector.Questions.from_json(detected["questions"])
    decision = decide(gaps, detector.rule_of(conf, settings, _scope(detected), now, asked), now)
    sizes: dict[date, int] = {}
    estimates: dict[date, Cost] = {}
    # One connection for all of it: a second one would give its first query the id that a query has had already.
    with open_clickhouse(settings, task) as clickhouse:
        if decision.backfill:
            sizes = _sizes(clickhouse, settings, conf, detected, decision.dates)
            estimates = cost.estimated(sizes, cost.earlier_builds(clickhouse, now))
            decision = within_budget(decision, estimates, conf.max_rows)
        chosen = total([estimates[day] for day in decision.dates])
        needs_answer = needs_approval(chosen, settings.approve_above_rows)
        decided = {
            **decision.to_json(),
            "dry_run": conf.dry_run,
            "plan_id": detected["plan_id"],
            "date_start": detected["date_start"],
            "date_end": detected["date_end"],
            "states": detected["states"],
            "teams": detected["teams"],
            "team_ids": list(conf.team_ids)[:TEAMS_IN_LOG],
            "missing_by_table": _missing_by_table(gaps),
            "min_missing_partitions": conf.min_missing_partitions,
            "max_rows": conf.max_rows,
            "estimates": cost.as_json(decision.dates, sizes, estimates),
            "asks": "",
        }
        if needs_answer and not conf.dry_run:
            decided |= _question(settings, decided, chosen)
        log.info(
            "Decision: %s. %s. Dates: %s.",
            "backfill" if decision.backfill else "skip",
            decision.reason,
            ", ".join(decided["dates"]) or "none",
        )
        if decision.backfill:
            log.info("Estimated: %s.", in_words(chosen))
        if conf.dry_run:
            if needs_answer:
                bound = f"{settings.approve_above_rows:,}"
                log.info("A person would have to approve this: above %s rows.", bound)
            return decided
        if decision.remark:
            failures.remark(decision.remark)
        history.append(
            clickhouse,
            task,
            kind="decision",
            status="backfill" if decision.backfill else "skip",
            reason=decided["reason"],
            team_count=detected["teams"],
            details=decided,
        )
    return decided


def _question(settings: Settings, decided: dict[str, Any], estimate: Cost) -> dict[str, str]:
    """What a person is asked: ``asks`` in short, ``question`` in full, and the ``reason`` with it.

    :raises BadSetting: the DAG has no task that asks.
    """
    from airflow.sdk import get_current_context

    bound = f"{settings.approve_above_rows:,}"
    if ASKING_TASK not in get_current_context()["dag"].task_ids:
        raise BadSetting(
            "WEB_ANALYTICS_APPROVE_ABOVE_ROWS",
            settings.approve_above_rows,
            "the same value where DAG files are parsed as for the workers: this DAG has no task that asks",
        )
    dates = f"{len(decided['dates'])} date{'' if len(decided['dates']) == 1 else 's'}"
    asked = f"about {in_words(estimate)}, above WEB_ANALYTICS_APPROVE_ABOVE_ROWS {bound}"
    return {
        "asks": f"Build {dates}, about {estimate.rows:,} rows?",
        "question": (
            f"Builds {dates}, {asked}.\n\nWhy: {decided['reason']}.\n\n```text\n{_describe_estimates(decided)}\n```"
        ),
        "reason": f"{decided['reason']}; a person is asked to approve {asked}",
    }


def _sizes(
    clickhouse: ClickHouse,
    settings: Settings,
    conf: BackfillConf,
    detected: dict[str, Any],
    days: Sequence[date],
) -> dict[date, int]:
    """Rows of the source that building each date reads, for the teams that lack it."""
    pageviews: dict[date, int] = {}
    for gap in (GapCount.from_row(row) for row in detected["gaps"]):
        pageviews[gap.partition_date] = max(pageviews.get(gap.partition_date, 0), gap.source_pageviews)
    selected = frozenset(select_teams(clickhouse, settings).restricted_to(conf.team_ids).team_ids)
    sizes = {}
    for day in days:
        if detected["plan_id"]:
            team_ids = selected.intersection(detector.planned_teams(clickhouse, detected["plan_id"], day))
        else:
            only = DateRange(day, day + ONE_DAY)
            rows = detector.list_gaps(clickhouse, settings, only, selected, tuple(detected["states"]))
            team_ids = frozenset(row["team_id"] for row in rows)
        sizes[day] = cost.source_rows(clickhouse, day, team_ids, pageviews.get(day, 0))
    return sizes


def plan(
    detected: dict[str, Any], decided: dict[str, Any], approval: Mapping[str, Any] | None
) -> list[dict[str, str]]:
    """The arguments of each date's task group, in the order of the decision; none for a dry run, which prints its plan.

    :param approval: what the person answered whom ``decide`` has asked; None where it asked nobody.
    :raises BackfillIncomplete: somebody was to approve and has not.
    """
    settings, _ = _settings_and_conf()
    days = [date.fromisoformat(day) for day in decided["dates"]]
    estimates = _describe_estimates(decided)
    if decided["dry_run"]:
        gaps = [GapCount.from_row(row) for row in detected["gaps"]]
        lacks = detector.describe_plan(days, gaps)
        log.info("Dry run, nothing is built. The plan:\n%s\nWhat it would cost:\n%s", lacks, estimates)
        return []
    if decided["asks"]:
        if not is_approved(approval):
            raise BackfillIncomplete("Nothing is built: no person approved.")
        _record_answer(settings, decided, "backfill", f"approved by {responder(approval)}")
    log.info("Building %d dates, in this order: %s.\n%s", len(days), ", ".join(decided["dates"]), estimates)
    return [{"day": day, "plan_id": decided["plan_id"]} for day in decided["dates"]]


def _record_answer(settings: Settings, decided: dict[str, Any], status: str, answer: str) -> None:
    """Adds to the history what became of a decision that a person was asked about."""
    task = current_task()
    built = decided["dates"] if status == "backfill" else []
    left = decided["dates_left"] + len(decided["dates"]) - len(built)
    estimates = decided["estimates"] if built else []
    with open_clickhouse(settings, task) as clickhouse:
        history.append(
            clickhouse,
            task,
            kind="decision",
            status=status,
            reason=f"{decided['reason']}; {answer}",
            team_count=decided["teams"],
            details={**decided, "dates": built, "dates_left": left, "estimates": estimates, "asks": ""},
        )


def _describe_estimates(decided: dict[str, Any]) -> str:
    costs = [Cost(each["rows"], each["bytes"], each["seconds"]) for each in decided["estimates"]]
    named = zip([*decided["dates"], "total"], [*costs, total(costs)], strict=True)
    return text_table(
        ("date", "rows to read", "MB to read", "seconds"),
        [(day, each.rows, _in_megabytes(each.bytes), each.seconds) for day, each in named],
    )


def _in_megabytes(size: int | None) -> float | None:
    return None if size is None else size / 1e6


def log_skip(decided: dict[str, Any]) -> None:
    """Says in a task of its own, visible in the grid, why nothing is built."""
    log.info("Nothing is built: %s.", decided["reason"])


def stage_date(day: str, plan_id: str) -> dict[str, str]:
    """Locks the date, once the server is not too busy, and stages the sessions of its planned teams that are still
    selected."""
    label_map_index(day)
    settings, task = Settings.load(), current_task()
    partition_date = date.fromisoformat(day)
    with open_clickhouse(settings, task, partition_date=day) as clickhouse:
        dates.wait_while_busy(clickhouse, settings, task, day)
        selected = select_teams(clickhouse, settings).team_ids
        team_ids = selected.intersection(detector.planned_teams(clickhouse, plan_id, partition_date))
        return dates.lock_and_stage(clickhouse, settings, task, partition_date, team_ids)


def summarise(decided: dict[str, Any] | None, approval: Mapping[str, Any] | None) -> dict[str, Any]:
    """Compares what was published with what was decided, and what it cost with what was estimated.

    :param approval: as for :func:`plan`.
    :raises BackfillIncomplete: a decided date is not published, or its validation failed.
    """
    if decided is None:
        raise BackfillIncomplete(f"No decision was made. {failures.first_cause()}".strip())
    if decided["dry_run"]:
        log.info("Nothing was to be built: %s.", decided["reason"])
        return {"published": [], "failed": []}
    settings, task = Settings.load(), current_task()
    if decided["asks"] and approval is not None and not is_approved(approval):
        answer = f"not approved by {responder(approval)}: nothing was built; the next run that finds these dates asks again"
        _record_answer(settings, decided, "skip", answer)
        failures.remark(answer)
        log.info("%s; %s.", decided["reason"], answer)
        return {"published": [], "failed": []}
    with open_clickhouse(settings, task) as clickhouse:
        swept = locks.sweep(clickhouse, Owner.of(task), ttl=settings.lock_ttl, activity=run_activity)
        if swept.cleared:
            log.warning(
                "Cleared what builds that broke off had left on %s.", ", ".join(map(str, swept.cleared))
            )
        if not decided["backfill"]:
            log.info("Nothing was to be built: %s.", decided["reason"])
            return {"published": [], "failed": []}
        published = dates.in_state("publish", "success", decided["dates"])
        failed = [day for day in decided["dates"] if day not in published]
        wrong = dates.in_state("validate", "failed", decided["dates"])
        took = cost.costs_of_run(clickhouse, task.dag_id, task.run_id, datetime.now(UTC))
        affected = [date.fromisoformat(day) for day in failed or wrong]
        concern = _concern(clickhouse, settings, decided["plan_id"], affected) if affected else None
    log.info("Published: %s.", ", ".join(sorted(published, reverse=True)) or "nothing")
    log.info("Estimated and real cost:\n%s", _describe_costs(took))
    if failed:
        raise BackfillIncomplete(
            f"{len(failed)} of {len(decided['dates'])} dates were not built: {', '.join(failed)}. "
            f"{dates.first_cause()}The next run builds what they lack.",
            concern,
        )
    if wrong:
        raise BackfillIncomplete(
            f"{len(wrong)} of {len(published)} built dates are not what the raw events say: {', '.join(wrong)}. "
            f"{dates.first_cause()}".strip(),
            concern,
        )
    return {"published": sorted(published, reverse=True), "failed": failed}


def _describe_costs(took: Sequence[dict[str, Any]]) -> str:
    measured = [
        (
            *(row["estimated_rows"], row["rows_read"]),
            *(_in_megabytes(row["estimated_bytes"] or None), _in_megabytes(row["bytes_read"])),
            *(row["estimated_seconds"] or None, row["seconds"]),
        )
        for row in took
    ]
    sums = tuple(None if None in column else sum(column) for column in zip(*measured, strict=True))
    names = [*(row["partition_date"] for row in took), "total"]
    return text_table(
        ("date", "rows estimated", "rows read", "MB estimated", "MB read", "seconds estimated", "seconds"),
        [(name, *numbers) for name, numbers in zip(names, [*measured, sums], strict=True)],
    )


def _concern(clickhouse: ClickHouse, settings: Settings, plan_id: str, days: list[date]) -> Concern:
    """Whom dates concern that were not built or are wrong."""
    row = clickhouse.query("tasks/count_planned_teams", {"plan_id": plan_id, "dates": tuple(days)})[0]
    partitions = DateRange(min(days), max(days) + ONE_DAY)
    return Concern(
        since=closed_at(partitions.start, settings.settling),
        teams=row["teams"],
        commands=(fill_command(partitions, GAP_KINDS, suffix=region_suffix()),),
        days=tuple(days),
    )


def _scope(detected: dict[str, Any]) -> detector.DetectionScope:
    partitions = DateRange(
        date.fromisoformat(detected["date_start"]), date.fromisoformat(detected["date_end"])
    )
    return detector.DetectionScope(partitions, tuple(detected["states"]), detected["nightly"])


def _missing_by_table(gaps: list[GapCount]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for gap in gaps:
        if gap.state == "missing":
            counts[gap.table_name] = counts.get(gap.table_name, 0) + 1
    return counts
