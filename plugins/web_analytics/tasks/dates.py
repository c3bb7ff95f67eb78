"""The steps of one date, of every DAG that builds dates."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

from web_analytics import validation
from web_analytics.build import steps
from web_analytics.build.locks import LockHeld
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import CODES, QueryFailed
from web_analytics.reporting import failures, step_log
from web_analytics.rules.load import Step, judged, why_busy
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES, table_by_name
from web_analytics.tasks.runtime import (
    current_task,
    is_last_try,
    label_map_index,
    mapped_states,
    open_clickhouse,
    run_activity,
    wait_and_run_again,
    waiting_since,
)
from web_analytics.teams.selection import select_teams

log = logging.getLogger(__name__)


T = TypeVar("T")

# The task group that builds one date.
GROUP = "build_date"

BUSY_POLL_SECONDS = 60
# What Airflow's table of task instances holds.
LONGEST_LABEL = 250
# A right, a system table or a column that this login or server has not.
CANNOT_BE_SEEN = (47, 60, 497)
# Too many queries, not enough memory, no thread, overloaded.
REFUSES_FOR_LOAD = (202, 241, 439, 745)


def with_lock(clickhouse: ClickHouse, task: TaskIdentity, partition_date: date, work: Callable[[], T]) -> T:
    """Does the first step of a date, or gives the slot back while another run holds the date's lock."""
    try:
        return work()
    except LockHeld as held:
        wait_and_run_again(str(held))
    except BaseException:
        # Airflow does not run the teardown of a setup that failed.
        if is_last_try():
            steps.release_if_owned(clickhouse, task, partition_date)
        raise


def wait_while_busy(clickhouse: ClickHouse, settings: Settings, task: TaskIdentity, day: str) -> None:
    """Before a date takes its lock: gives the slot back while the server is above a bound of its load, for a limited time.
    A server whose load cannot be seen keeps no date waiting.
    """
    if not settings.busy_above or not settings.busy_wait:
        return
    since, now = waiting_since(), datetime.now(UTC)
    waited = now - since if since else timedelta()
    verdict = judged(_why_busy(clickhouse, settings, day), waited, settings.busy_wait)
    if verdict.step is Step.WAIT:
        reason = f"ClickHouse is busy: {verdict.reason}"
        if since is None:
            _record_wait(clickhouse, task, day, "waiting", reason)
        label_map_index(f"{day} waits, {reason}"[:LONGEST_LABEL])
        wait_and_run_again(
            f"{day} waits, {reason}. It begins at the latest {settings.busy_wait_minutes} minutes after it wanted to.",
            BUSY_POLL_SECONDS,
        )
    if verdict.step is Step.GO_ON_ALL_THE_SAME:
        log.warning(
            "%s has waited %d minutes for a calmer server and begins all the same, although ClickHouse is busy: %s.",
            day,
            waited.total_seconds() / 60,
            verdict.reason,
        )
    if since is not None:
        still = f", although ClickHouse is busy: {verdict.reason}" if verdict.reason else ""
        _record_wait(
            clickhouse, task, day, "over", f"begins after {waited.total_seconds() / 60:.0f} minutes{still}"
        )


def _why_busy(clickhouse: ClickHouse, settings: Settings, day: str) -> str:
    """What of the load is above its bound; empty where nothing is, or where it cannot be seen."""
    try:
        load = clickhouse.query("tasks/read_load", {"tables": [table.name for table in BUILT_TABLES]})[0]
    except QueryFailed as failure:
        if failure.code in REFUSES_FOR_LOAD:
            return CODES[failure.code].meaning
        if failure.code in CANNOT_BE_SEEN:
            log.warning("%s: the server's load cannot be seen, so nothing waits for it. %s", day, failure)
            return ""
        raise
    return why_busy(load, settings.busy_above)


def _record_wait(clickhouse: ClickHouse, task: TaskIdentity, day: str, status: str, reason: str) -> None:
    history.append(
        clickhouse,
        task,
        kind="wait",
        status=status,
        reason=reason,
        partition_date=date.fromisoformat(day),
    )


def lock_and_stage(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Collection[int],
) -> dict[str, str]:
    """Stages a date for these teams, or gives the slot back while another run holds the date's lock."""

    step_log.tell(teams=len(team_ids))

    def stage() -> steps.Build:
        return steps.stage(clickhouse, settings, task, partition_date, team_ids, run_activity)

    return with_lock(clickhouse, task, partition_date, stage).to_xcom()


def insert_table(staged: dict[str, str], table_name: str) -> str:
    """Aggregates the staged sessions for one table.

    :returns: the name of the fresh table, which publishing takes over.
    """
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(
        settings, task, partition_date=staged["partition_date"], table=table_name
    ) as clickhouse:
        return steps.insert(clickhouse, task, steps.Build.from_xcom(staged), table_by_name(table_name))


def publish_date(staged: dict[str, str], fresh: Sequence[str]) -> dict[str, Any]:
    """Verifies, publishes and records the date, without the teams that are no longer selected.

    :param fresh: what the insert of each table returned.
    :returns: the date with the numbers of sessions, pageviews and teams published, and ``build``.
    """
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(settings, task, partition_date=staged["partition_date"]) as clickhouse:
        selected = select_teams(clickhouse, settings).team_ids
        built = steps.Build.from_xcom(staged)
        published = steps.publish(clickhouse, settings, task, built, fresh, selected)
    step_log.tell(teams=published["teams"])
    log.info("%s is published: %s.", staged["partition_date"], published)
    return {"partition_date": staged["partition_date"], **published}


def validate_date(published: dict[str, Any]) -> None:
    """Compares what was published with the raw events; a source without an oracle is only verified.

    :raises ValidationFailed: a number is not what the raw events say.
    """
    label_map_index(published["partition_date"])
    settings = Settings.load()
    task, partition_date = current_task(), date.fromisoformat(published["partition_date"])
    if not validation.has_oracle(settings):
        log.info(
            "There is no oracle for the source %s; the build was verified while publishing.", settings.source
        )
        return
    with open_clickhouse(settings, task, partition_date=published["partition_date"]) as clickhouse:
        rows = clickhouse.query(
            "build/list_built_teams", {"partition_date": partition_date, "build": published["build"]}
        )
        team_ids = [row["team_id"] for row in rows]
        result = validation.check_and_record(clickhouse, settings, task, partition_date, team_ids)
    log.info("Validated %s.", result.sentence())
    validation.raise_if_failed(result)


def release_date(staged: dict[str, str]) -> None:
    """Drops the date's per-run tables and its lock."""
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(settings, task, partition_date=staged["partition_date"]) as clickhouse:
        steps.release(clickhouse, steps.Build.from_xcom(staged))


def in_state(task_id: str, state: str, planned: Sequence[str]) -> list[str]:
    """Those of the planned dates whose task is in a state in this run, as it is now: what an earlier execution of a
    run that was cleared has published or validated is told by the tasks that were not cleared.

    :param task_id: within the group of a date.
    :param planned: the dates in the order of their groups.
    """
    states = mapped_states(f"{GROUP}.{task_id}")
    return [day for index, day in enumerate(planned) if states.get(index) == state]


def first_cause() -> str:
    """What the step of a date that failed first has said, to be put between other sentences."""
    cause = failures.first_cause(exclude=[f"{GROUP}.release"])
    return f"The first to fail was {cause} " if cause else "The red tasks of these dates say why. "
