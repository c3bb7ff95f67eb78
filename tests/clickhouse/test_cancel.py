"""A task that is timed out or killed takes its running query with it; a retry first ends its predecessor's."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support import wait_until
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import QueryFailed

ENDLESS_VIEW = "CREATE OR REPLACE VIEW {name} AS SELECT rows.* FROM numbers(1000000000000) AS endless CROSS JOIN {table} AS rows"


@pytest.fixture
def slow_source(source, days):
    """A source of which no read comes to an end."""
    source.enable(1)
    source.visits([1], days(2))
    admin = source.clickhouse.client
    admin.execute("RENAME TABLE web_analytics_source_events TO fast_source_events")
    admin.execute(ENDLESS_VIEW.format(name="web_analytics_source_events", table="fast_source_events"))
    return source


def running(admin, prefix: str = "web_analytics_backfill:") -> list[str]:
    rows = admin.execute(
        "SELECT query_id FROM system.processes WHERE startsWith(query_id, %(prefix)s)", {"prefix": prefix}
    )
    return [query_id for (query_id,) in rows]


def test_an_execution_timeout_ends_the_query(slow_source, clickhouse_server, airflow_database):
    from tests.conftest import CHECKOUT
    from tests.support import finished_run, load_dags, open_client

    dag = load_dags(CHECKOUT / "dags" / "web_analytics_backfill.py").dags["web_analytics_backfill"]
    for task in dag.tasks:
        task.retries = 0
    dag.get_task("detect").execution_timeout = timedelta(seconds=3)
    observer = open_client(clickhouse_server)
    seen = threading.Event()

    def observe():
        wait_until(lambda: running(observer))
        seen.set()

    with ThreadPoolExecutor(1) as pool:
        observing = pool.submit(observe)
        run = finished_run(dag.test(run_conf={"min_missing_partitions": 1}))
        observing.result()
    assert run.states["detect"] == ["failed"]
    assert seen.is_set()
    wait_until(lambda: not running(observer), seconds=5)


def test_cancelling_ends_the_query_that_is_running(clickhouse):
    errors = []

    def work():
        try:
            clickhouse.query("schema/current_database")
            clickhouse.query("detection/read_planned_teams", {"plan_id": "", "partition_date": "2026-01-01"})
        except QueryFailed as error:
            errors.append(error)

    clickhouse.client.execute(
        "CREATE TABLE plan (plan_id String, partition_date Date, team_id UInt64) ENGINE = Memory"
    )
    clickhouse.client.execute("INSERT INTO plan SELECT '', '2026-01-01', 1")
    clickhouse.client.execute(ENDLESS_VIEW.format(name="web_analytics_backfill_plan", table="plan"))
    with ClickHouse("clickhouse_default") as observer, ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        wait_until(lambda: running(observer.client, clickhouse.origin))
        # What Airflow does when a task is marked failed: its signal handler calls on_kill in the task's process.
        clickhouse.cancel_running_query()
        working.result(timeout=10)
        wait_until(lambda: not running(observer.client, clickhouse.origin), seconds=5)
    assert [error.code for error in errors] == [394]


def read_the_source(task: TaskIdentity) -> None:
    with ClickHouse("clickhouse_default", origin=task.origin) as connection:
        connection.client.execute(
            "SELECT count() FROM web_analytics_source_events", query_id=f"{task.origin}:1"
        )


def end_earlier(connection: ClickHouse, task: TaskIdentity) -> list[str]:
    parameters = {"task_prefix": task.task_origin, "try_prefix": f"{task.origin}:"}
    rows = connection.query("clickhouse/kill_queries_of_earlier_tries", parameters)
    return [row["query_id"] for row in rows]


def test_a_retry_first_ends_what_its_predecessor_left_running(slow_source):
    first = TaskIdentity("web_analytics_backfill", "run", "build_date.stage", 0, 1)
    second = TaskIdentity("web_analytics_backfill", "run", "build_date.stage", 0, 2)

    with ThreadPoolExecutor(1) as pool, ClickHouse("clickhouse_default", origin=second.origin) as retry:
        working = pool.submit(read_the_source, first)
        wait_until(lambda: running(retry.client, first.task_origin))
        assert end_earlier(retry, second) == [f"{first.origin}:1"]
        with pytest.raises(Exception, match="394"):
            working.result(timeout=10)


def test_a_try_that_wakes_up_ends_no_query_of_a_later_one(slow_source):
    """Of tries 2 and 10 of one task, and of a task whose number begins like its."""
    tries = [TaskIdentity("web_analytics_backfill", "run", "build_date.stage", 0, n) for n in (2, 10)]
    zombie, successor = tries

    with ThreadPoolExecutor(1) as pool, ClickHouse("clickhouse_default", origin=zombie.origin) as woken:
        working = pool.submit(read_the_source, successor)
        wait_until(lambda: running(woken.client, successor.task_origin))
        assert end_earlier(woken, zombie) == end_earlier(woken, successor) == []
        assert running(woken.client, successor.task_origin)
        assert end_earlier(woken, replace(successor, try_number=11)) == [f"{successor.origin}:1"]
        with pytest.raises(Exception, match="394"):
            working.result(timeout=10)
