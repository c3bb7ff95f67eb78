"""The append-only history in web_analytics_backfill_log."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskIdentity:
    """Which try of which task is at work; the origin of its queries and log rows.

    :ivar deployment: the Airflow that it runs in (WEB_ANALYTICS_DEPLOYMENT).
    """

    dag_id: str = "local"
    run_id: str = "local"
    task_id: str = "local"
    map_index: int = -1
    try_number: int = 1
    deployment: str = "local"

    @property
    def task_origin(self) -> str:
        """The beginning of every query_id of this task instance, of all its tries."""
        return f"{self.dag_id}:{self.deployment}:{self.run_id}:{self.task_id}:{self.map_index}:"

    @property
    def origin(self) -> str:
        """The beginning of every query_id of this try."""
        return f"{self.task_origin}{self.try_number}"


@dataclass
class Attempt:
    """What an attempt adds to its log row while it works."""

    team_count: int = 0
    details: dict[str, Any] = field(default_factory=dict)


def append(
    clickhouse: ClickHouse,
    task: TaskIdentity,
    *,
    kind: str,
    status: str,
    reason: str = "",
    partition_date: date | None = None,
    table_name: str = "",
    error_code: int = 0,
    seconds: float = 0.0,
    rows_read: int = 0,
    bytes_read: int = 0,
    team_count: int = 0,
    query_id: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    """Adds one row; ``kind`` is decision, attempt, validation or cleanup."""
    clickhouse.insert(
        "clickhouse/insert_log",
        [
            {
                "kind": kind,
                "dag_id": task.dag_id,
                "run_id": task.run_id,
                "task_id": task.task_id,
                "map_index": task.map_index,
                "try_number": task.try_number,
                "partition_date": partition_date,
                "table_name": table_name,
                "status": status,
                "reason": reason,
                "error_code": error_code,
                "seconds": seconds,
                "rows_read": rows_read,
                "bytes_read": bytes_read,
                "peak_memory_bytes": None,
                "team_count": team_count,
                "query_id": query_id,
                "details": json.dumps(details or {}, default=str),
            }
        ],
    )


@contextlib.contextmanager
def attempt(
    clickhouse: ClickHouse, task: TaskIdentity, partition_date: date, table_name: str = ""
) -> Generator[Attempt, None, None]:
    """Logs what happens inside as one attempt, succeeded or failed, and lets every error through."""
    started, first_statement = time.monotonic(), len(clickhouse.statistics)
    made = Attempt()

    def write(status: str, reason: str, error_code: int) -> None:
        statements = clickhouse.statistics[first_statement:]
        append(
            clickhouse,
            task,
            kind="attempt",
            status=status,
            reason=reason,
            partition_date=partition_date,
            table_name=table_name,
            error_code=error_code,
            seconds=time.monotonic() - started,
            rows_read=sum(statement.rows_read for statement in statements),
            bytes_read=sum(statement.bytes_read for statement in statements),
            team_count=made.team_count,
            query_id=statements[-1].query_id if statements else "",
            details=made.details,
        )

    try:
        yield made
    except BaseException as error:  # a task's timeout is not an Exception
        code = getattr(error, "code", 0)
        try:
            write("failed", str(error) or type(error).__name__, code if isinstance(code, int) else 0)
        except Exception:
            log.exception("The failed attempt could not be written to web_analytics_backfill_log.")
        raise
    write("succeeded", "", 0)
