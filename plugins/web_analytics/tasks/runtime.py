"""What a running task knows of itself: its identity, the settings, its connection."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from web_analytics.build.locks import Owner, RunActivity
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.reporting import step_log
from web_analytics.settings import Settings

log = logging.getLogger(__name__)

LOCK_POLL_SECONDS = 15


def deployment(settings: Settings) -> str:
    """Tells this Airflow from others that work on the same ClickHouse, whose runs may have the same ids.

    By default it follows from what all processes of an Airflow share and no two have in common, its Fernet key.
    """
    if settings.deployment:
        return settings.deployment
    return hashlib.sha256(_shared_in_airflow().encode()).hexdigest()[:12]


def _shared_in_airflow() -> str:
    from airflow.configuration import conf

    return conf.get("core", "fernet_key", fallback="") or conf.get("api", "base_url", fallback="")


def is_told_apart(settings: Settings) -> bool:
    """Whether anything tells this Airflow from others: one without a Fernet key and an address, as in Airflow's own
    example for Docker Compose, is like any other of these."""
    return bool(settings.deployment or _shared_in_airflow())


def current_task() -> TaskIdentity:
    """The try that is running now."""
    from airflow.sdk import get_current_context

    task_instance = get_current_context()["ti"]
    return TaskIdentity(
        dag_id=task_instance.dag_id,
        run_id=task_instance.run_id,
        task_id=task_instance.task_id,
        map_index=-1 if task_instance.map_index is None else task_instance.map_index,
        try_number=task_instance.try_number,
        deployment=deployment(Settings.load()),
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


def triggered_by() -> str | None:
    """The user who triggered the run; None where Airflow does not know."""
    from airflow.sdk import get_current_context

    return get_current_context()["dag_run"].triggering_user_name


def label_map_index(label: str) -> None:
    """What the grid shows instead of the mapped task's number."""
    from airflow.sdk import get_current_context

    get_current_context()["map_label"] = label


def open_clickhouse(settings: Settings, task: TaskIdentity, conn_id: str = "", **facts: Any) -> ClickHouse:
    """The connection of a running task: Airflow cancels its query when it kills or times out the task, and a
    further try first ends what the earlier ones left running.

    :param conn_id: another connection than that of the settings.
    :param facts: what the try is about, for its line in the log, see :func:`step_log.tell`.
    """
    from airflow.sdk import get_current_context

    clickhouse = ClickHouse(
        conn_id or settings.clickhouse_conn_id,
        origin=task.origin,
        heavy_settings=settings.clickhouse_settings,
        placement=settings.placement,
    )
    step_log.opened(clickhouse, task, **facts)
    get_current_context()["ti"].task.on_kill = clickhouse.cancel_running_query
    if task.try_number > 1:
        clickhouse.kill(
            "clickhouse/kill_queries_of_earlier_tries",
            {"task_prefix": task.task_origin, "try_prefix": f"{task.origin}:"},
        )
    return clickhouse


def run_activity(owner: Owner) -> RunActivity:
    """What Airflow knows of the run that holds a lock: a run of another Airflow is unknown, also where this one has a
    run of the same id."""
    from airflow.sdk import get_current_context

    if owner.deployment != deployment(Settings.load()):
        return RunActivity.UNKNOWN
    task_instance = get_current_context()["ti"]
    if task_instance.get_dr_count(owner.dag_id, run_ids=[owner.run_id]) == 0:
        return RunActivity.UNKNOWN
    active = task_instance.get_dr_count(owner.dag_id, run_ids=[owner.run_id], states=["queued", "running"])
    return RunActivity.ACTIVE if active else RunActivity.ENDED


def mapped_states(task_id: str) -> dict[int, str]:
    """The states of a mapped task's instances in this run, by map index: also of those that ran before it was
    cleared and have not run again."""
    from airflow.sdk import get_current_context

    ti = get_current_context()["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    return {int(name.rpartition("_")[2]): str(state) for name, state in states.items() if name != task_id}


def result_of(task_id: str, key: str = "return_value") -> Any:
    """What a task of this run has handed on, None where it has not succeeded: Airflow keeps what it handed on before the
    run was cleared until it begins again."""
    from airflow.sdk import get_current_context

    ti = get_current_context()["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=[task_id], run_ids=[ti.run_id]).get(ti.run_id, {})
    return ti.xcom_pull(task_ids=task_id, key=key) if states.get(task_id) == "success" else None


def hand_on(key: str, value: Any) -> None:
    """Hands on more than what the task returns; :func:`result_of` reads it."""
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=key, value=value)


def results_of_mapped(task_id: str) -> list[Any]:
    """As :func:`result_of`, of each of a mapped task's instances that has succeeded."""
    from airflow.sdk import get_current_context

    ti, states = get_current_context()["ti"], mapped_states(task_id)
    indexes = sorted(index for index, state in states.items() if state == "success")
    if len(indexes) == len(states):  # one question for all of them
        return [each for each in ti.xcom_pull(task_ids=[task_id]) if each is not None]
    return list(ti.xcom_pull(task_ids=task_id, map_indexes=indexes)) if indexes else []


def waiting_since() -> datetime | None:
    """When this task first gave its slot back, in whichever try; None where it has not."""
    from airflow.sdk import get_current_context

    context = get_current_context()
    return context["ti"].get_first_reschedule_date(context)


def wait_and_run_again(reason: str, seconds: float = LOCK_POLL_SECONDS) -> NoReturn:
    """Gives the slot back for a while; unlike a failure this uses up no retry.

    :raises AirflowRescheduleException: always.
    """
    from airflow.sdk.exceptions import AirflowRescheduleException

    log.info("%s Looking again in %d s.", reason, seconds)
    raise AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=seconds))
