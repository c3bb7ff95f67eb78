"""What a running task knows of itself: its identity, the settings, its connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web_analytics.clickhouse import ClickHouse
from web_analytics.history import TaskIdentity
from web_analytics.settings import Settings


def current_task() -> TaskIdentity:
    """The try that is running now. Outside of a task, a local identity."""
    from airflow.sdk import get_current_context

    task_instance = get_current_context()["ti"]
    return TaskIdentity(
        dag_id=task_instance.dag_id,
        run_id=task_instance.run_id,
        task_id=task_instance.task_id,
        map_index=-1 if task_instance.map_index is None else task_instance.map_index,
        try_number=task_instance.try_number,
    )


def is_last_try() -> bool:
    from airflow.sdk import get_current_context

    task_instance = get_current_context()["ti"]
    return task_instance.try_number > task_instance.max_tries


def current_conf() -> dict[str, Any]:
    """The run's params with everything its conf brought along, also what no param declares."""
    from airflow.sdk import get_current_context

    context = get_current_context()
    conf: Mapping[str, Any] = context["dag_run"].conf or {}
    return {**dict(context["params"]), **conf}


def label_map_index(label: str) -> None:
    """What the grid shows instead of the mapped task's number."""
    from airflow.sdk import get_current_context

    get_current_context()["map_label"] = label


def open_clickhouse(settings: Settings, task: TaskIdentity) -> ClickHouse:
    return ClickHouse(
        settings.clickhouse_conn_id, origin=task.origin, heavy_settings=settings.clickhouse_settings
    )
