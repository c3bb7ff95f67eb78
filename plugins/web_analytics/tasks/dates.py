"""The steps of one date, of every DAG that builds dates."""

from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import date
from typing import Any

from web_analytics import validation
from web_analytics.build import steps
from web_analytics.build.locks import LockHeld
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.settings import Settings
from web_analytics.tables import table_by_name
from web_analytics.tasks.runtime import (
    current_task,
    is_last_try,
    label_map_index,
    open_clickhouse,
    run_activity,
    wait_and_run_again,
)

log = logging.getLogger(__name__)


def lock_and_stage(
    clickhouse: ClickHouse,
    settings: Settings,
    task: TaskIdentity,
    partition_date: date,
    team_ids: Collection[int],
) -> dict[str, str]:
    """Stages a date for these teams, or gives the slot back while another run holds the date's lock."""
    try:
        return steps.stage(clickhouse, settings, task, partition_date, team_ids, run_activity).to_xcom()
    except LockHeld as held:
        wait_and_run_again(str(held))
    except BaseException:
        # Airflow does not run the teardown of a setup that failed.
        if is_last_try():
            steps.release_if_owned(clickhouse, task, partition_date)
        raise


def insert_table(staged: dict[str, str], table_name: str) -> None:
    """Aggregates the staged sessions for one table."""
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(settings, task) as clickhouse:
        steps.insert(clickhouse, task, steps.Build.from_xcom(staged), table_by_name(table_name))


def publish_date(staged: dict[str, str]) -> dict[str, Any]:
    """Verifies, publishes and records the date.

    :returns: the date with the numbers of sessions, pageviews and teams published.
    """
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(settings, task) as clickhouse:
        published = steps.publish(clickhouse, settings, task, steps.Build.from_xcom(staged))
    log.info("%s is published: %s.", staged["partition_date"], published)
    return {"partition_date": staged["partition_date"], **published}


def validate_date(staged: dict[str, str]) -> None:
    """Compares what this build stored with the raw events; a source without an oracle is only verified.

    :raises ValidationFailed: a number is not what the raw events say.
    """
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    built = steps.Build.from_xcom(staged)
    if not validation.has_oracle(settings):
        log.info(
            "There is no oracle for the source %s; the build was verified while publishing.", settings.source
        )
        return
    with open_clickhouse(settings, task) as clickhouse:
        rows = clickhouse.query(
            "build/list_built_teams", {"partition_date": built.partition_date, "build": built.token}
        )
        team_ids = [row["team_id"] for row in rows]
        result = validation.check_and_record(clickhouse, settings, task, built.partition_date, team_ids)
    log.info("Validated %s.", result.sentence())
    validation.raise_if_failed(result)


def release_date(staged: dict[str, str]) -> None:
    """Drops the date's per-run tables and its lock."""
    label_map_index(staged["partition_date"])
    settings, task = Settings.load(), current_task()
    with open_clickhouse(settings, task) as clickhouse:
        steps.release(clickhouse, steps.Build.from_xcom(staged))
