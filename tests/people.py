"""A person who answers what a run asks, the way Airflow's API and scheduler answer; dag.test() waits meanwhile."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from datetime import timedelta

# Who answers before dag.test() has seen that the task waits is overwritten: it writes the task's state once more. It says
# when it has seen it; an Airflow that waits in a trigger instead does not.
SEEN_WITHIN_SECONDS = 3


@contextlib.contextmanager
def seen_by_dag_test():
    """An event that is set once dag.test() has seen that a task waits for a person."""
    seen, logger = threading.Event(), logging.getLogger("airflow.sdk.definitions.dag")

    class Listener(logging.Handler):
        def emit(self, record):
            if "Human-in-the-loop" in record.getMessage():
                seen.set()

    listener = Listener()
    logger.addHandler(listener)
    yield seen
    logger.removeHandler(listener)


@contextlib.contextmanager
def waiting_for_input(act):
    """Does ``act(session, task_instance)`` once a task waits for a person; dag.test() waits meanwhile."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.exc import OperationalError

    stop, errors = threading.Event(), []
    of_those_that_wait = select(TaskInstance).where(TaskInstance.state == "awaiting_input")

    def watch(seen):
        while not stop.is_set():
            try:
                with create_session() as session:
                    waits = session.scalars(of_those_that_wait).first() is not None
                if waits:
                    seen.wait(SEEN_WITHIN_SECONDS)
                    with create_session() as session:
                        act(session, session.scalars(of_those_that_wait).one())
                    return
            except OperationalError:  # SQLite is busy: or dag.test() would wait for ever
                pass
            except Exception as error:
                errors.append(error)
                with create_session() as session:
                    for waiting in session.scalars(of_those_that_wait):
                        waiting.state = "failed"
                return
            time.sleep(0.2)

    with seen_by_dag_test() as seen:
        watcher = threading.Thread(target=watch, args=(seen,), daemon=True)
        watcher.start()
        yield
        stop.set()
        watcher.join()
    assert not errors


def answer(option, user="eve"):
    return waiting_for_input(answer_now(option, user))


def answer_now(option, user="eve"):
    """A person's answer, given through the code of Airflow's REST endpoint."""

    def act(session, task_instance):
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
        from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail

        update_hitl_detail(
            dag_id=task_instance.dag_id,
            dag_run_id=task_instance.run_id,
            task_id=task_instance.task_id,
            update_hitl_detail_payload=UpdateHITLDetailPayload(chosen_options=[option], params_input={}),
            user=SimpleAuthManagerUser(username=user, role="admin"),
            session=session,
        )

    return act


def no_answer_within(wait: timedelta):
    """Nobody answers: the scheduler's own sweep, with the deadline moved to the past."""

    def let_it_time_out(session, task_instance):
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.sdk.timezone import utcnow

        left = task_instance.trigger_timeout - utcnow()
        assert wait - timedelta(hours=1) < left <= wait
        task_instance.trigger_timeout = utcnow() - timedelta(days=1)
        session.flush()
        SchedulerJobRunner(job=Job()).check_awaiting_input_timeouts(session=session)

    return waiting_for_input(let_it_time_out)
