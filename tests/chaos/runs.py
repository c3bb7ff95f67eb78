"""Real runs of web_analytics_backfill in child processes, forked from a parent that has Airflow imported.

``drive`` is the loop of ``DAG.test()`` without its preparation, so that a run whose process was killed can be
continued as a scheduler would: ``lose_process`` does with its task instances what the scheduler does when their
heartbeats have stopped.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

DAG_ID = "web_analytics_backfill"
FIRST_DELAY_SECONDS = 0.2
LOCK_POLL_SECONDS = 0.5


def prepare(checkout: Path, connection: dict[str, Any], conf: dict[str, Any]) -> None:
    """Makes the metadata database and warms this process up with an undisturbed run of ``DAG.test()``.

    :param connection: to a database in which a run with ``conf`` succeeds.
    """
    from airflow.utils.db import initdb

    initdb()
    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = json.dumps(connection)
    finished = load_dag(checkout).test(run_conf=conf)
    if finished.state != "success":
        raise RuntimeError("The undisturbed first run failed.")


def load_dag(checkout: Path):
    from tests.support import load_dags
    from web_analytics.wiring.retries import ClickHouseRetryPolicy

    dag = load_dags(checkout / "dags" / f"{DAG_ID}.py").dags[DAG_ID]
    for task in dag.tasks:
        task.retry_policy = ClickHouseRetryPolicy(first_delay_seconds=FIRST_DELAY_SECONDS)
        task.retry_delay = timedelta(0)
    return dag


@dataclass
class Child:
    """A forked process."""

    pid: int
    status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative if a signal ended it; None while it runs."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> int:
        """:raises TimeoutError: it did not end; it is killed now."""
        deadline = time.monotonic() + seconds
        while (status := self.poll()) is None:
            if time.monotonic() > deadline:
                self.kill()
                os.waitpid(self.pid, 0)
                self.status = -signal.SIGKILL
                raise TimeoutError(f"the run did not end within {seconds:.0f} s")
            time.sleep(0.01)
        return status


def fork(work: Callable[[], int], log: Path) -> Child:
    """Runs ``work`` in a child process that writes to ``log`` and exits with its result."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return Child(pid)
    status = 70
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        random.seed()
        _renew_threads()
        status = work()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


_not_of_this_process = []


def _renew_threads() -> None:
    """The loop that serves the execution API in this process is a thread, which a fork does not take along."""
    from airflow import settings
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    settings.Session.remove()
    api = in_process_api_server()
    _not_of_this_process.append(api.transport)  # kept, since its end would wait for the thread
    del api.transport


@dataclass
class Run:
    """One DAG run of a trial; its process may be killed and replaced.

    :ivar patch: called in the child before the run, for the experiments.
    """

    checkout: Path
    run_id: str
    conf: dict[str, Any]
    connection: dict[str, Any]
    log: Path
    ttl_seconds: float
    patch: Callable[[], None] | None = None
    child: Child | None = None
    processes: int = 0

    def start(self) -> Child:
        """Starts or continues the run in a new process."""
        self.processes += 1
        self.child = fork(self._work, self.log)
        return self.child

    def _work(self) -> int:
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = json.dumps(self.connection)
        from web_analytics.clickhouse import connection
        from web_analytics.settings import Settings
        from web_analytics.tasks import runtime

        runtime.LOCK_POLL_SECONDS = LOCK_POLL_SECONDS
        connection.REPEAT_PAUSES_SECONDS = tuple(
            pause * FIRST_DELAY_SECONDS / 10 for pause in connection.REPEAT_PAUSES_SECONDS
        )
        Settings.lock_ttl = timedelta(seconds=self.ttl_seconds)
        # Below the rule's threshold a gap waits two days; here it has waited.
        os.environ["WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS"] = "0"
        if self.patch:
            self.patch()
        return 0 if drive(load_dag(self.checkout), self.run_id, self.conf) == "success" else 1


def drive(dag, run_id: str, conf: dict[str, Any]) -> str:
    """Creates the run, or continues it, and runs its tasks one after the other until it has ended."""
    from airflow import settings
    from airflow.sdk.definitions.dag import _run_task
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.state import DagRunState, TaskInstanceState

    session = settings.Session()
    scheduler_dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    run = find(session, run_id, dag.dag_id) or _create(session, scheduler_dag, run_id, conf)
    run.dag = scheduler_dag
    while run.state == DagRunState.RUNNING:
        session.expire_all()
        schedulable, _ = run.update_state(session=session)
        for instance in schedulable:
            if instance.state != TaskInstanceState.UP_FOR_RESCHEDULE:
                instance.try_number += 1
            instance.state = TaskInstanceState.SCHEDULED
            instance.scheduled_dttm = datetime.now(UTC)
        session.commit()
        scheduled = [
            instance
            for instance in run.get_task_instances(session=session)
            if instance.state == TaskInstanceState.SCHEDULED
        ]
        for instance in scheduled:
            with contextlib.suppress(Exception):  # logged, and the instance is failed
                _run_task(ti=instance, task=dag.task_dict[instance.task_id], run_triggerer=True)
        if not scheduled:
            time.sleep(0.1)
    return _name(run.state)


def find(session, run_id: str, dag_id: str = DAG_ID):
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def _create(session, scheduler_dag, run_id: str, conf: dict[str, Any]):
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    now = datetime.now(UTC)
    run = scheduler_dag.create_dagrun(
        run_id=run_id,
        logical_date=None,
        data_interval=None,
        run_after=now,
        conf=conf,
        run_type=DagRunType.MANUAL,
        state=DagRunState.RUNNING,
        triggered_by=DagRunTriggeredByType.TEST,
        start_date=now,
        session=session,
    )
    session.commit()
    return run


def _name(state) -> str:
    return str(getattr(state, "value", state))


def state_of(run_id: str) -> str:
    from airflow.utils.session import create_session

    with create_session() as session:
        run = find(session, run_id)
        return _name(run.state) if run else "forgotten"


def lose_process(run_id: str) -> None:
    """What the scheduler does with a task instance whose heartbeats have stopped: it is up for retry, or failed
    after its last try. What had not begun is scheduled again. The run itself goes on."""
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    with create_session() as session:
        run = find(session, run_id)
        if run is None:
            return
        for instance in run.get_task_instances(session=session):
            if instance.state == TaskInstanceState.QUEUED:
                instance.state = TaskInstanceState.SCHEDULED
            elif instance.state == TaskInstanceState.RUNNING:
                may_retry = instance.try_number <= instance.max_tries
                instance.state = TaskInstanceState.UP_FOR_RETRY if may_retry else TaskInstanceState.FAILED
                instance.end_date = datetime.now(UTC)


def mark_failed(run_id: str) -> None:
    """A person has given the run up."""
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState

    with create_session() as session:
        if run := find(session, run_id):
            run.state = DagRunState.FAILED
            run.end_date = datetime.now(UTC)


def forget(run_id: str) -> None:
    """The metadata database is lost: whoever finds the lock knows nothing of its owner."""
    from airflow.utils.session import create_session

    with create_session() as session:
        if run := find(session, run_id):
            session.delete(run)
