"""Each try of each task writes one line that a log collector can parse."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from web_analytics.clickhouse.connection import QueryStatistics
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import QueryFailed
from web_analytics.reporting import step_log


@pytest.fixture
def lines(caplog):
    """The lines that were written, as dictionaries."""

    def parsed() -> list[dict]:
        marked = [
            record.getMessage()
            for record in caplog.records
            if record.getMessage().startswith(step_log.PREFIX)
        ]
        return [json.loads(line.removeprefix(step_log.PREFIX)) for line in marked]

    caplog.set_level("INFO")
    return parsed


def test_a_run_writes_one_line_for_each_step(source, run_dag, days, lines):
    source.enable(1, 2)
    source.visits([1, 2], days(2))
    run = run_dag("web_analytics_backfill")
    written = {(line["task_id"], line["map_index"]): line for line in lines()}
    assert len(written) == len(lines())
    ran = {task_id: states.count("success") for task_id, states in run.states.items() if "success" in states}
    assert {task_id: 0 for task_id, _ in written} | ran == ran
    assert sum(ran.values()) == len(written)

    insert = written["build_date.insert_stats", 0]
    assert insert["run_id"] == run.run_id
    assert insert["status"] == "succeeded"
    assert insert["partition_date"] == str(days(1)[0])
    assert insert["table"] == "web_pre_aggregated_stats"
    assert f":{run.run_id}:build_date.insert_stats:0:1:" in insert["query_id"]
    assert insert["seconds"] > 0
    assert insert["rows_read"] > 0
    assert insert["error_code"] is None
    detected = written["detect", -1]
    assert (detected["date_end"], detected["teams"]) == (
        str(days(1)[0].fromordinal(days(1)[0].toordinal() + 1)),
        2,
    )
    assert written["build_date.publish", 1]["teams"] == 2


def test_a_failure_names_its_code_and_its_query(source, run_dag, lines):
    source.enable(1)
    source.clickhouse.client.execute("DROP VIEW web_analytics_source_events")
    assert run_dag("web_analytics_backfill").state == "failed"
    [failed] = [line for line in lines() if line["task_id"] == "detect"]
    assert (failed["status"], failed["error_code"]) == ("failed", 60)
    assert failed["query_id"] in failed["error"]


def test_what_is_tried_again_has_a_line_for_each_try(source, run_dag, lines, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", "clickhouse://default:@127.0.0.1:9/nowhere")
    monkeypatch.setattr("web_analytics.clickhouse.connection.REPEAT_PAUSES_SECONDS", ())
    assert run_dag("web_analytics_setup").state == "failed"
    tries = [line for line in lines() if line["task_id"] == "create_tables"]
    assert [line["status"] for line in tries] == ["retried", "retried", "retried", "failed"]
    assert {line["error_code"] for line in tries} == {210}


def test_hostile_text_stays_on_one_line_of_json():
    clickhouse = SimpleNamespace(statistics=[QueryStatistics("q", 0.1, 5, 50, 0)])
    facts = {"table": 'a"b\n{"status": "failed"}'}
    error = QueryFailed("a/b", "the-query", 241, 'memory\n"}{"status": "succeeded"')
    line = step_log.step_line(
        {"dag_id": "d"}, status="failed", seconds=1.23456, clickhouse=clickhouse, facts=facts, error=error
    )
    assert "\n" not in line
    parsed = json.loads(line)
    assert (parsed["status"], parsed["query_id"], parsed["error_code"]) == ("failed", "the-query", 241)
    assert (parsed["table"], parsed["rows_read"], parsed["seconds"]) == (
        'a"b\n{"status": "failed"}',
        5,
        1.235,
    )


def test_the_statements_of_another_try_are_not_counted():
    step_log.opened(SimpleNamespace(statistics=[]), TaskIdentity("dag", "run", "task", try_number=2))
    assert step_log._opened.get(("dag", "run", "task", -1, 1)) is None
    assert step_log._opened.get(("dag", "run", "task", -1, 2)) is not None
