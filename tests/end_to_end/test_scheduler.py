"""The DAGs under a real scheduler: Airflow standalone on SQLite with the embedded ClickHouse."""

from __future__ import annotations

import json
import os
import time
import urllib.error

import pytest
from clickhouse_driver import Client

from benchmarks.live_airflow import LiveAirflow, wait_for
from tests.conftest import CHECKOUT
from tests.support import differences_from_oracle, leftovers
from web_analytics.build import locks
from web_analytics.build.locks import Owner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def airflow(clickhouse_server, tmp_path_factory):
    """Airflow on a free port, with an unpaused DAG and its pool."""
    with Client(clickhouse_server.host, port=clickhouse_server.port) as admin:
        admin.execute("CREATE DATABASE IF NOT EXISTS end_to_end")
    uri = clickhouse_server.uri("end_to_end")
    only_these_runs = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}
    with LiveAirflow(tmp_path_factory.mktemp("airflow"), uri, only_these_runs) as live:
        wait_for(lambda: len(live.dags()) >= 2, 60, "the DAGs")
        yield live


@pytest.fixture(scope="module")
def built_source(airflow, clickhouse_server):
    """Schema by web_analytics_setup, and three days of events of two teams."""
    from demo import sample_data
    from tests.support import Source
    from web_analytics.clickhouse.connection import ClickHouse

    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = clickhouse_server.uri("end_to_end")
    with ClickHouse("clickhouse_default") as connection:
        sample_data.create_source(connection)
        airflow.unpause("web_analytics_setup")
        assert airflow.finish(airflow.trigger("web_analytics_setup", {})) == "success"
        yield Source(connection)


def test_all_dags_are_there_without_import_errors(airflow):
    wait_for(lambda: "web_analytics_setup" in airflow.dags(), 60, "web_analytics_setup")
    assert airflow.call("GET", "/api/v2/importErrors")["import_errors"] == []
    files = {path.stem for path in (CHECKOUT / "dags").glob("web_analytics_*.py")}
    wait_for(lambda: files <= airflow.dags().keys(), 60, "a DAG for each file")


def test_a_triggered_run_builds_its_dates_and_one_that_waits_holds_up_no_other(airflow, built_source, days):
    built_source.enable(1, 2)
    built_source.visits([1, 2], days(3))
    pools = {pool["name"]: pool["slots"] for pool in airflow.call("GET", "/api/v2/pools")["pools"]}
    assert pools["web_analytics_backfill"] == 4
    airflow.unpause("web_analytics_backfill")
    held = locks.acquire(built_source.clickhouse, days(1)[0], Owner("web_analytics_backfill", "another run"))
    run = airflow.trigger("web_analytics_backfill", {"days_back": 14})

    def states_of(task_id: str) -> list[str]:
        return [
            each["state"] for each in airflow.instances(run) if each["task_id"] == f"build_date.{task_id}"
        ]

    wait_for(lambda: states_of("release")[1:] == ["success", "success"], 240, "the two older dates")
    assert states_of("stage")[0] != "success"
    locks.release(built_source.clickhouse, held)
    assert airflow.finish(run) == "success"

    stages = [each for each in airflow.instances(run) if each["task_id"] == "build_date.stage"]
    assert [each["rendered_map_index"] for each in stages] == [day.isoformat() for day in days(3)]
    assert {each["pool"] for each in stages} == {"web_analytics_backfill"}
    assert differences_from_oracle(built_source.clickhouse, days(3), [1, 2]) == []
    assert leftovers(built_source.clickhouse) == []

    events = airflow.call("GET", "/api/v2/assets/events?limit=100")["asset_events"]
    for table in ("web_pre_aggregated_stats", "web_pre_aggregated_bounces"):
        dates = {event["partition_key"] for event in events if event["name"] == table}
        assert dates == {day.isoformat() for day in days(3)}
    [decision] = [event for event in events if event["name"] == "web_analytics_backfill_decision"]
    assert decision["extra"]["reason"] == "6 missing partitions reach the threshold 3"


def test_conf_out_of_range_is_rejected_before_a_run_exists(airflow):
    with pytest.raises(urllib.error.HTTPError) as refused:
        airflow.trigger("web_analytics_backfill", {"days_back": 366})
    assert refused.value.code == 400
    assert "days_back" in json.load(refused.value)["detail"]


def test_marking_a_task_failed_ends_its_query(airflow, built_source, clickhouse_server):
    admin = built_source.clickhouse.client
    observer = Client(clickhouse_server.host, port=clickhouse_server.port)

    def running() -> int:
        return observer.execute(
            "SELECT count() FROM system.processes WHERE startsWith(query_id, 'web_analytics_backfill:') "
            "AND elapsed > 0.5"
        )[0][0]

    admin.execute("RENAME TABLE web_analytics_source_events TO real_source_events")
    admin.execute(
        "CREATE VIEW web_analytics_source_events AS SELECT rows.* FROM numbers(1000000000000) AS endless "
        "CROSS JOIN real_source_events AS rows"
    )
    try:
        run = airflow.trigger("web_analytics_backfill", {})
        wait_for(running, 120, "the endless query")
        airflow.call("PATCH", f"{run}/taskInstances/detect", {"new_state": "failed"})
        marked = time.monotonic()
        wait_for(lambda: not running(), 30, "the end of the query")
        assert time.monotonic() - marked < 10
        assert airflow.finish(run) == "failed"
    finally:
        admin.execute("DROP VIEW web_analytics_source_events")
        admin.execute("RENAME TABLE real_source_events TO web_analytics_source_events")
