"""One line of JSON in the task log for each try of each task, for log collectors. Fields: docs/operations.md."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from web_analytics.clickhouse.connection import ClickHouse

log = logging.getLogger(__name__)

PREFIX = "web_analytics_step"

# The connection of the try that runs in this process; a process runs one try at a time.
_opened: dict[str, ClickHouse] = {}


def opened(clickhouse: ClickHouse) -> None:
    """Remembers the connection whose statements the line sums up."""
    _opened.clear()
    _opened[clickhouse.origin] = clickhouse


def step_line(
    identity: Mapping[str, Any],
    *,
    status: str,
    seconds: float,
    clickhouse: ClickHouse | None = None,
    error: BaseException | None = None,
) -> str:
    """The line of one try.

    :param status: succeeded, failed, retried (failed, and will be tried again) or skipped.
    :param error: why it failed; its ``code`` is ClickHouse's or the package's own.
    """
    statements = clickhouse.statistics if clickhouse else []
    facts = clickhouse.facts if clickhouse else {}
    failed_query = getattr(error, "query_id", "")
    line = {
        **identity,
        "status": status,
        "partition_date": facts.get("partition_date"),
        "date_start": facts.get("date_start"),
        "date_end": facts.get("date_end"),
        "table": facts.get("table_name") or None,
        "teams": facts.get("team_count"),
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
    from web_analytics.clickhouse.history import TaskIdentity

    ti = context["ti"]
    map_index = -1 if ti.map_index is None else ti.map_index
    task = TaskIdentity(ti.dag_id, ti.run_id, ti.task_id, map_index, ti.try_number)
    started = ti.start_date or datetime.now(UTC)
    line = step_line(
        {
            "dag_id": task.dag_id,
            "run_id": task.run_id,
            "task_id": task.task_id,
            "map_index": task.map_index,
            "try_number": task.try_number,
        },
        status=status,
        seconds=(datetime.now(UTC) - started).total_seconds(),
        clickhouse=_opened.get(task.origin),
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
