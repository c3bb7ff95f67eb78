"""Why a run failed, in one sentence, wherever a person looks first: the end of the task's log, the message of the run's
last task, and the run's note, which Airflow and the coverage page show beside the run.

The sentence of each failed try is the task's XCom :data:`KEY`; Airflow clears it when the task is tried again. A run that
succeeded gets a note, too, where a task has left a remark (:data:`REMARK`), such as what a budget has left out.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from web_analytics.errors import BadSetting, is_expected, public_sentence

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

log = logging.getLogger(__name__)

KEY = "failure"
REMARK = "remark"
FAILED, REFUSED, REMARKED = "Failed: ", "Refused: ", "Remark: "
# What Airflow's table of notes holds.
LONGEST_NOTE = 1000


def remember(context: Mapping[str, Any] | None, error: BaseException) -> None:
    """Leaves the sentence of a failed try. To be called before Airflow reports the try's state: after that, the
    scheduler may close the run at any instant."""
    if context is None:
        return
    ti = context["ti"]
    said = {
        "at": datetime.now(UTC).isoformat(),
        "task_id": ti.task_id,
        "map_index": -1 if ti.map_index is None else ti.map_index,
        "label": context.get("map_label", ""),
        "sentence": public_sentence(error),
        "is_refused": isinstance(error, BadSetting),
    }
    try:
        ti.xcom_push(key=KEY, value=said)
    except Exception as problem:
        # The task has failed for its own reason, which is in its log; whether it is tried again does not depend on this.
        log.warning("Why this task failed could not be left for the run's note: %s", problem)


def remark(sentence: str) -> None:
    """In a task: leaves what a run that succeeds is to say in its note."""
    from airflow.sdk import get_current_context

    get_current_context()["ti"].xcom_push(key=REMARK, value={"sentence": sentence})


def first_cause(exclude: Iterable[str] = ()) -> str:
    """In a task: what the task that failed first in this run has said; empty where none has left a sentence.

    :param exclude: ids of tasks that do not count.
    """
    from airflow.sdk import get_current_context

    context = get_current_context()
    ti = context["ti"]
    others = [each for each in context["dag"].task_ids if each not in {ti.task_id, *exclude}]
    said = [each for each in ti.xcom_pull(task_ids=others, key=KEY) if each]
    if not said:
        return ""
    # What a task has said before the run was cleared stays until the task begins again, which it may not have.
    states = ti.get_task_states(dag_id=ti.dag_id, task_ids=others, run_ids=[ti.run_id]).get(ti.run_id, {})
    return _told(_oldest([each for each in said if states.get(_instance(each)) == "failed"]))


def _instance(failure: Mapping[str, Any]) -> str:
    """As Airflow names the instance among the states of a run's tasks."""
    task_id, map_index = failure["task_id"], failure["map_index"]
    return task_id if map_index < 0 else f"{task_id}_{map_index}"


def _oldest(failures: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return min(failures, key=lambda each: each["at"], default=None)


def _told(failure: Mapping[str, Any] | None) -> str:
    if failure is None:
        return ""
    of_date = f" of {failure['label']}" if failure["label"] else ""
    return f"{failure['task_id']}{of_date}: {failure['sentence']}"


def write_note(dag_run: DagRun) -> None:
    """In the scheduler or the API server: gives a failed run its note. What a person wrote stays.

    The last task's sentence holds the cause; where a run has no such task, the last one to fail tells it.
    """
    with _session_of(dag_run) as session:
        failures = _left(session, dag_run, KEY)
        if failures:
            last = max(failures, key=lambda each: each["at"])
            prefix = REFUSED if any(each["is_refused"] for each in failures) else FAILED
            _put(session, dag_run, f"{prefix}{last['sentence']}")


def write_remark(dag_run: DagRun) -> None:
    """In the scheduler or the API server: gives a run that succeeded the remark of its tasks as a note. What a person
    wrote stays."""
    with _session_of(dag_run) as session:
        if remarks := _left(session, dag_run, REMARK):
            _put(session, dag_run, f"{REMARKED}{'; '.join(each['sentence'] for each in remarks)}")


def _left(session: Any, dag_run: DagRun, key: str) -> list[Mapping[str, Any]]:
    """What the run's tasks have left under a key."""
    from airflow.models.xcom import XComModel

    query = XComModel.get_many(run_id=dag_run.run_id, key=key, dag_ids=dag_run.dag_id)
    return [_deserialized(each) for each in session.scalars(query)]


def _put(session: Any, dag_run: DagRun, text: str) -> None:
    from airflow.models.dagrun import DagRunNote

    note = session.get(DagRunNote, dag_run.id)
    if note is None:
        note = DagRunNote(text[:LONGEST_NOTE])
        note.dag_run_id = dag_run.id
        session.add(note)
    elif _is_ours(note.content):
        note.content = text[:LONGEST_NOTE]


def forget_note(dag_run: DagRun) -> None:
    """Of a run that was cleared and runs again, or has succeeded then."""
    from airflow.models.dagrun import DagRunNote

    with _session_of(dag_run) as session:
        note = session.get(DagRunNote, dag_run.id)
        if note is not None and note.content and _is_ours(note.content):
            note.content = ""


def _is_ours(note: str | None) -> bool:
    return not note or note.startswith((FAILED, REFUSED, REMARKED))


def _session_of(dag_run: DagRun) -> AbstractContextManager[Any]:
    """That of the scheduler, which has locked the run's row: in another one, the note would wait for it for ever."""
    from airflow.utils.session import create_session
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    return create_session() if session is None else nullcontext(session)


def _deserialized(xcom: Any) -> Mapping[str, Any]:
    from airflow.models.xcom import XComModel

    value = XComModel.deserialize_value(xcom)
    return json.loads(value) if isinstance(value, str) else value


def log_expected_without_stack(context: Any) -> None:
    """Callback before a task begins: an error of this package ends the task's log with its sentence. The stack, which
    says nothing more to whoever is on call, is logged at DEBUG."""
    import structlog

    # Changed in place: Airflow's logger of this task has the list already.
    processors = structlog.get_config()["processors"]
    if _sentence_instead_of_stack not in processors:
        processors.insert(0, _sentence_instead_of_stack)


def _sentence_instead_of_stack(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    error = sys.exc_info()[1] if event.get("exc_info") is True else None
    if error is not None and (is_expected(error) or (error.__cause__ and is_expected(error.__cause__))):
        del event["exc_info"]
        log.debug("The stack of what the task ends with", exc_info=error)
        event["event"] = str(error)
    return event
