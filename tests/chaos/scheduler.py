"""Runs under a real scheduler, which is killed: API server, DAG processor and scheduler with its LocalExecutor."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from tests.chaos import runs

START_SECONDS = 400
RUN_SECONDS = 500
# A lost scheduler and lost tasks are noticed within seconds, not minutes.
IMPATIENCE = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # only the trial's run
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__CORE__PARALLELISM": "3",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
    "AIRFLOW__API__WORKERS": "1",
}


class LiveAirflow:
    """The components of an Airflow on the worker's metadata database; a context manager.

    :param connection: what the tasks connect to.
    """

    def __init__(self, checkout: Path, connection: dict[str, Any], log: Path):
        self._airflow, self._log = checkout / "bin" / "airflow", log
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        base = f"http://127.0.0.1:{self._port}"
        self._environment = {
            **os.environ,
            **IMPATIENCE,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self._port),
            "AIRFLOW__API__BASE_URL": base,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
            # Of this trial only: a task's token is checked with it.
            "AIRFLOW__API_AUTH__JWT_SECRET": "chaos" * 16,
            "AIRFLOW_CONN_CLICKHOUSE_DEFAULT": json.dumps(connection),
            "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": "0",
        }
        self._processes: list[psutil.Process] = []

    def __enter__(self) -> LiveAirflow:
        try:
            for component in ("api-server", "dag-processor"):
                self._start(component)
            self.start_scheduler()
            _wait(self._is_healthy, START_SECONDS, "a healthy Airflow")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            _kill(process, with_children=True)

    def start_scheduler(self) -> None:
        self.scheduler = self._start("scheduler")

    def kill_scheduler(self, with_tasks: bool) -> None:
        """SIGKILL of the scheduler alone, whose tasks then go on for a while, or of all that runs under it."""
        if not with_tasks:
            self._processes += self.scheduler.children(recursive=True)
        _kill(self.scheduler, with_children=with_tasks)

    def _start(self, component: str) -> psutil.Process:
        with self._log.open("ab") as log:
            started = subprocess.Popen(
                [self._airflow, component],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process := psutil.Process(started.pid))
        return process

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{self._port}/api/v2/monitor/health", timeout=5
            ) as answer:
                health = json.load(answer)
        except OSError:
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))


def run_under_fire(airflow: LiveAirflow, checkout: Path, rng: random.Random, run_id: str, conf: dict) -> str:
    """Triggers a run, kills the scheduler at some instant, starts another and waits for the run's end.

    :returns: what was killed.
    """
    queue(checkout, run_id, conf)
    _wait(lambda: runs.state_of(run_id) == "running", 300, "the run to start")
    time.sleep(rng.uniform(0, 15))
    if runs.state_of(run_id) != "running":
        return ""
    with_tasks = rng.random() < 0.5
    airflow.kill_scheduler(with_tasks)
    time.sleep(rng.uniform(0, 3))
    airflow.start_scheduler()
    _wait(lambda: runs.state_of(run_id) in ("success", "failed"), RUN_SECONDS, "the run's end")
    return "kill_scheduler_and_tasks" if with_tasks else "kill_scheduler"


def queue(checkout: Path, run_id: str, conf: dict[str, Any]) -> None:
    """What a trigger does: a queued run, of a DAG that is not paused and whose pool exists."""
    from airflow.models.dag import DagModel
    from airflow.models.dagrun import DagRun
    from airflow.models.pool import Pool
    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import update

    from web_analytics.pools import POOL

    dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(runs.load_dag(checkout)))
    Pool.create_or_update_pool(POOL, slots=4, description="", include_deferred=False)
    with create_session() as session:
        running = DagRun.state == DagRunState.RUNNING
        session.execute(update(DagRun).where(running).values(state=DagRunState.FAILED))
        # Tasks that earlier trials have killed hold slots of the pool: of these nobody notices that they are dead.
        dead = TaskInstance.state == TaskInstanceState.RUNNING
        session.execute(update(TaskInstance).where(dead).values(state=TaskInstanceState.FAILED))
        session.execute(update(DagModel).where(DagModel.dag_id == runs.DAG_ID).values(is_paused=False))
        dag.create_dagrun(
            run_id=run_id,
            logical_date=None,
            data_interval=None,
            run_after=datetime.now(UTC),
            conf=conf,
            run_type=DagRunType.MANUAL,
            state=DagRunState.QUEUED,
            triggered_by=DagRunTriggeredByType.CLI,
            session=session,
        )


def _kill(process: psutil.Process, with_children: bool) -> None:
    try:
        doomed = [*process.children(recursive=True), process] if with_children else [process]
    except psutil.NoSuchProcess:
        return
    for each in reversed(doomed):
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=10)


def _wait(condition, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.25)
