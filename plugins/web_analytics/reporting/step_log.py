"""One line of JSON in the task log for each try of each task, for log collectors. Fields: docs/operations.md."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.clickhouse.history import TaskIdentity

log = logging.getLogger(__name__)

PREFIX = "web_analytics_step"

# The connection of the try that runs in this process; a process runs one try at a time.
_opened: dict[tuple, ClickHouse] = {}
# What that try is about.
_facts: dict[str, Any] = {}


def opened(clickhouse: ClickHouse, task: TaskIdentity, **facts: Any) -> None:
    """Remembers the connection whose statements the line of a try sums up, and what it is about, see :func:`tell`."""
    _opened.clear()
    _facts.clear()
    _opened[task.dag_id, task.run_id, task.task_id, task.map_index, task.try_number] = clickhouse
    tell(**facts)


def tell(**facts: Any) -> None:
    """Adds to what the line says of the try that runs now.

    :param facts: any of partition_date, date_start, date_end, table and teams (how many).
    """
    _facts.update(facts)


def step_line(
    identity: Mapping[str, Any],
    *,
    status: str,
    seconds: float,
    clickhouse: ClickHouse | None = None,
    facts: Mapping[str, Any] | None = None,
    error: BaseException | None = None,
) -> str:
    """The line of one try.

    :param status: succeeded, failed, retried (failed, and will be tried again) or skipped.
    :param facts: what it was about, see :func:`tell`.
    :param error: why it failed; its ``code`` is ClickHouse's or the package's own.
    """
    statements = clickhouse.statistics if clickhouse else []
    facts = facts or {}
    failed_query = getattr(error, "query_id", "")
    line = {
        **identity,
        "status": status,
        "partition_date": facts.get("partition_date"),
        "date_start": facts.get("date_start"),
        "date_end": facts.get("date_end"),
        "table": facts.get("table"),
        "teams": facts.get("teams"),
        "seconds": round(seconds, 3),
        "statements": len(statements),
        "rows_read": sum(statement.rows_read for statement in statements),
        "bytes_read": sum(statement.bytes_read for statement in statements),
        "query_id": failed_query or (statements[-1].query_id if statements else None),
        "error_code": None if error is None else getattr(error, "code", type(error).__name__),
        "error": None if error is None else str(error) or type(error).__name__,
    }
    return json.dumps(line, default=str, ensure_ascii=False)


def _write(context: Mapping[str, Any], status: str) -> None:
    ti = context["ti"]
    identity = {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": -1 if ti.map_index is None else ti.map_index,
        "try_number": ti.try_number,
    }
    key = tuple(identity.values())
    started = ti.start_date or datetime.now(UTC)
    line = step_line(
        identity,
        status=status,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        clickhouse=_opened.get(key),
        facts=_facts if key in _opened else {},
        error=context.get("exception") if status in ("failed", "retried") else None,
    )
    log.info("%s %s", PREFIX, line)


def log_success(context: Any) -> None:
    _write(context, "succeeded")


def log_failure(context: Any) -> None:
    _write(context, "failed")


def log_retry(context: Any) -> None:
    _write(context, "retried")


def log_skip(context: Any) -> None:
    _write(context, "skipped")
