"""The steps of ``web_analytics_validate``, one function per task. The DAG file wires them."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from web_analytics import validation
from web_analytics.build import adoption
from web_analytics.build.locks import LockHeld
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.conf import ValidateConf
from web_analytics.errors import BadSetting
from web_analytics.reporting import failures, step_log
from web_analytics.reporting.concern import Concern
from web_analytics.rules.partitions import DateRange, closed_part, day_end, newest_closed_day, newest_first
from web_analytics.settings import Settings
from web_analytics.tables import TABLES
from web_analytics.tasks.runtime import (
    current_conf,
    current_task,
    label_map_index,
    open_clickhouse,
    run_activity,
    wait_and_run_again,
)
from web_analytics.teams.selection import select_teams
from web_analytics.validation import DayResult, ValidationFailed

log = logging.getLogger(__name__)

DEFAULT_DAYS = 7


def choose_days() -> dict[str, Any]:
    """Checks settings and conf and says what is compared.

    :returns: the closed days of the range, newest first, how many teams, and what the column checks need.
    :raises BadSetting: also where the given team is not selected, or the source has no oracle.
    """
    settings, conf = Settings.load(), ValidateConf.parse(current_conf())
    validation.oracle_of(settings)
    now = datetime.now(UTC)
    if conf.date_start and conf.date_end:
        requested = DateRange(conf.date_start, conf.date_end)
    else:
        end = newest_closed_day(now, settings.settling) + timedelta(days=1)
        requested = DateRange(end - timedelta(days=DEFAULT_DAYS), end)
    closed = closed_part(requested, now, settings.settling, settings.partitions_start_date)
    with open_clickhouse(settings, current_task()) as clickhouse:
        teams = _teams(clickhouse, settings, conf)
    if len(closed) < len(requested):
        log.info(
            "%d of %d days are left out: not closed yet, or before WEB_ANALYTICS_PARTITIONS_START_DATE.",
            len(requested) - len(closed),
            len(requested),
        )
    log.info("Comparing %d teams on %d days with the raw events.", len(teams), len(closed))
    return {
        "days": [day.isoformat() for day in newest_first(closed)] if teams else [],
        "teams": len(teams),
        "date_start": closed.start.isoformat(),
        "date_end": closed.end.isoformat(),
        "bucket_minutes": settings.bucket_minutes,
    }


def check_schema() -> None:
    """:raises SchemaMismatch: a target table is not as this package creates it."""
    settings = Settings.load()
    with open_clickhouse(settings, current_task()) as clickhouse:
        validation.check_schema(clickhouse)
    log.info("Columns, engines and keys of %s are as created.", " and ".join(table.name for table in TABLES))


def validate_day(day: str) -> dict[str, Any]:
    """Compares one day and writes the verdict to the history. A wrong day is a result, not an error."""
    label_map_index(day)
    settings, conf, task = Settings.load(), ValidateConf.parse(current_conf()), current_task()
    with open_clickhouse(settings, task, partition_date=day) as clickhouse:
        teams = _teams(clickhouse, settings, conf)
        step_log.tell(teams=len(teams))
        if conf.adopt:
            _adopt(clickhouse, settings, task, date.fromisoformat(day), teams)
        result = validation.check_and_record(clickhouse, settings, task, date.fromisoformat(day), teams)
    log.info("%s.", result.sentence())
    return result.to_xcom()


def _adopt(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Collection[int],
) -> None:
    try:
        adopted = adoption.adopt_day(clickhouse, settings, task, partition_date, team_ids, run_activity)
    except LockHeld as held:
        wait_and_run_again(str(held))
    log.info("%s: adopted the rows of %d teams.", partition_date, len(adopted))
    history.append(
        clickhouse,
        task,
        kind="adoption",
        status="succeeded",
        partition_date=partition_date,
        team_count=len(adopted),
    )


def report(chosen: dict[str, Any] | None, checked: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Logs the outcome as a table with the command to run next.

    :param checked: what validate_day returned for the days that it could check.
    :returns: the verdict of the run and of each day, the worst differences and the command.
    :raises ValidationFailed: a number is wrong or missing, or a day could not be checked.
    """
    if chosen is None:
        raise ValidationFailed(f"No day was checked. {failures.first_cause()}".strip())
    results = sorted((DayResult.from_xcom(each) for each in checked), key=lambda each: each.day, reverse=True)
    unchecked = [day for day in chosen["days"] if day not in {result.day for result in results}]
    summary = summarise(results)
    if summary["verdict"] == validation.NOTHING_TO_CHECK and not unchecked:
        log.info(
            "Verdict: nothing to check. %d teams, %d closed days, and no team has pageviews or rows on them.",
            chosen["teams"],
            len(chosen["days"]),
        )
        return summary
    log.info("Verdict: %s.\n%s", summary["verdict"], validation.describe(results))
    if summary["next"]:
        log.info("To run next: %s", summary["next"])
    if any(result.failed for result in results):
        failure = ValidationFailed(validation.failure_sentence(results))
        wrong = [result for result in results if result.failed]
        failure.concern = Concern(
            since=day_end(min(date.fromisoformat(result.day) for result in wrong)),
            teams=len({team_id for result in wrong for team_id in result.team_ids}),
            commands=(summary["next"],),
            days=tuple(date.fromisoformat(result.day) for result in wrong),
            team_ids=tuple(sorted({team_id for result in wrong for team_id in result.team_ids})),
        )
        raise failure
    if unchecked:
        raise ValidationFailed(
            f"{len(unchecked)} of {len(chosen['days'])} days could not be checked: {', '.join(unchecked)}. "
            f"{failures.first_cause()}".strip()
        )
    return summary


def summarise(results: Sequence[DayResult]) -> dict[str, Any]:
    verdicts = [result.verdict for result in results]
    return {
        "verdict": max(verdicts, key=validation.VERDICTS.index, default=validation.NOTHING_TO_CHECK),
        "days": {result.day: result.verdict for result in results},
        "pageviews": sum(result.pageviews for result in results),
        "left_out": sum(result.left_out for result in results),
        "differences": [asdict(each) for each in validation.worst(results)],
        "next": validation.next_command(results),
    }


def _teams(clickhouse: ClickHouse, settings: Settings, conf: ValidateConf) -> frozenset[int]:
    selected = select_teams(clickhouse, settings).team_ids
    if conf.team_id is None:
        return selected
    if conf.team_id not in selected:
        raise BadSetting("team_id", conf.team_id, "a team that exists and is enabled for pre-aggregation")
    return frozenset([conf.team_id])
