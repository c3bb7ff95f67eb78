"""An Airflow without retry policies does not try again what another try cannot help, in a real run."""

from __future__ import annotations

import inspect

import pytest
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import sync_bag_to_db
from airflow.sdk.exceptions import AirflowFailException

from tests.support import finished_run, load_dags
from web_analytics.errors import QueryFailed
from web_analytics.wiring.fail_at_once import failing_at_once

DAG_FILE = """
from datetime import timedelta
from pathlib import Path
from airflow.sdk import dag
from airflow.sdk import task as airflow_task
from web_analytics.errors import BadSetting, QueryFailed
from web_analytics.wiring.fail_at_once import _FailingAtOnce

task = _FailingAtOnce(airflow_task)

@dag(dag_id="tries", schedule=None, default_args={{"retries": 2, "retry_delay": timedelta(0)}})
def tries():
    @task(task_id="mapped")
    def mapped(number):
        with Path({ran!r}).open("a") as file:
            file.write("x")
        raise {error}

    @task.branch
    def choose():
        return "other"

    @task
    def other():
        return 1

    mapped.expand(number=[1])
    choose() >> other()

tries()
"""


@pytest.mark.parametrize(
    ("error", "count"),
    [
        ("QueryFailed('build/fill_sessions', 'query', 62, 'reason')", 1),
        ("BadSetting('WEB_ANALYTICS_QUEUE', '', 'a name')", 1),
        ("QueryFailed('build/fill_sessions', 'query', 241, 'reason')", 3),
        ("ValueError('no code')", 3),
    ],
)
def test_tries(airflow_database, tmp_path, error, count):
    ran = tmp_path / "ran"
    file = tmp_path / "dags" / "tries.py"
    file.parent.mkdir()
    file.write_text(DAG_FILE.format(ran=str(ran), error=error))
    bag = load_dags(file)
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    run = finished_run(bag.dags["tries"].test())
    assert ran.read_text() == "x" * count
    assert run.states == {"mapped": ["failed"], "choose": ["success"], "other": ["success"]}


def test_the_error_keeps_its_code_and_its_sentence():
    def task_function(day, plan_id="x"):
        raise QueryFailed("build/fill_sessions", "query", 516, "reason")

    wrapped = failing_at_once(task_function)
    assert inspect.signature(wrapped) == inspect.signature(task_function)
    with pytest.raises(
        AirflowFailException, match="code 516: reason.*Not tried again: user or password"
    ) as raised:
        wrapped("2026-01-01")
    assert raised.value.code == 516
