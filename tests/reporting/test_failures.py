"""Why a run failed stands where a person looks first: at the end of the log, in the last task's message, in the note."""

from __future__ import annotations

import json
import logging
import re

import pytest
from sqlalchemy import select

from web_analytics.errors import BadSetting, QueryFailed, is_expected, public_sentence
from web_analytics.reporting import failures
from web_analytics.teams.selection import TeamSelectionFailed

BACKFILL, VALIDATE, CLEANUP = "web_analytics_backfill", "web_analytics_validate", "web_analytics_cleanup"


def note_of(dag_id, run_id):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        return (
            session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).one().note
        )


def failure_of(dag_id, run_id, task_id):
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.scalars(
            XComModel.get_many(run_id=run_id, key=failures.KEY, dag_ids=dag_id, task_ids=task_id)
        ).all()
        values = [XComModel.deserialize_value(each) for each in found]
    return [json.loads(value) if isinstance(value, str) else value for value in values]


@pytest.mark.parametrize(
    ("dag_id", "conf", "last", "cause"),
    [
        (BACKFILL, {"team_ids": [99]}, "summarise", "No decision was made. detect: "),
        (VALIDATE, {"team_id": 99}, "report", "No day was checked. choose_days: "),
    ],
)
def test_a_refused_conf_is_told_by_the_last_task_and_by_the_note(source, run_dag, dag_id, conf, last, cause):
    run = run_dag(dag_id, conf)
    assert run.state == "failed"
    [told] = failure_of(dag_id, run.run_id, last)
    assert told["sentence"].startswith(cause)
    assert "99" in told["sentence"]
    assert "see the failed task" not in told["sentence"]
    assert note_of(dag_id, run.run_id) == f"Refused: {told['sentence']}"


def test_a_date_that_fails_is_told_with_its_cause_but_no_word_of_the_server(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(2), per_day=1)
    source.clickhouse.client.execute(
        "ALTER TABLE web_pre_aggregated_bounces DROP COLUMN total_session_count_state"
    )
    run = run_dag(BACKFILL)
    assert run.state == "failed"
    note = note_of(BACKFILL, run.run_id)
    assert note.startswith("Failed: 2 of 2 dates were not built: ")
    # either date may be the first
    told = re.search(
        r"The first to fail was build_date.insert_bounces of (\S+): build/insert_bounces failed", note
    )
    assert told[1] in {str(day) for day in days(2)}
    assert "the table has no such column" in note
    assert "total_session_count_state" not in note


def test_a_run_that_succeeds_in_the_end_loses_its_note_and_a_persons_note_stays(source, run_dag):
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    run = run_dag(VALIDATE, {"team_id": 99})
    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.run_id == run.run_id)).one()
        assert found.note.startswith("Refused: ")
        failures.forget_note(found)
        assert found.note == ""
        failures.write_note(found)
        assert found.note.startswith("Refused: ")
        found.note = "looked at by Anna"
        failures.write_note(found)
        failures.forget_note(found)
        assert found.note == "looked at by Anna"


def test_the_log_of_a_failed_task_ends_with_its_sentence(source, run_dag, capfd, caplog):
    """60 lines of traceback came after it."""
    caplog.set_level(logging.DEBUG, "web_analytics.reporting.failures")
    run = run_dag(BACKFILL, {"team_ids": [99]})
    assert run.state == "failed"
    out, err = capfd.readouterr()
    written = out + err
    assert written.count("team_ids is 99") + written.count("team_ids is [99]") >= 1
    assert "Traceback" not in written
    assert 'File "' not in written
    stacks = [each for each in caplog.records if each.exc_info and "The stack" in each.getMessage()]
    assert {type(each.exc_info[1]).__name__ for each in stacks} == {"BadSetting", "BackfillIncomplete"}


def test_an_error_that_nobody_expects_keeps_its_stack():
    assert not is_expected(KeyError("x"))
    assert is_expected(BadSetting("days", 0, "1"))
    try:
        raise KeyError("x")
    except KeyError:
        event = failures._sentence_instead_of_stack(None, "error", {"event": "failed", "exc_info": True})
    assert event == {"event": "failed", "exc_info": True}


def test_no_word_of_a_server_is_told_to_everyone():
    refused = QueryFailed("build/fill_sessions", "q:1", 516, "default at 10.0.0.7: wrong password")
    told = public_sentence(refused)
    assert "10.0.0.7" not in told
    assert "user or password is wrong" in told
    assert "(query_id q:1)" in told
    selection = TeamSelectionFailed("teams_table", str(refused), 516)
    selection.__cause__ = refused
    assert "10.0.0.7" not in public_sentence(selection)
    assert public_sentence(KeyError()) == "KeyError"
