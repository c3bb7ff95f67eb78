"""A region: its own connection, teams, detection, lock and report; without the setting nothing changes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from clickhouse_driver import Client

from demo import sample_data
from tests.conftest import CHECKOUT
from tests.support import Source, differences_from_oracle, load_dags
from web_analytics.build import locks
from web_analytics.build.locks import Owner
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import BadSetting
from web_analytics.regions import region_suffix
from web_analytics.rules.commands import trigger_command
from web_analytics.settings import Settings

DATABASE = "region_eu"


@pytest.fixture
def regions(monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_REGIONS", "eu, us1")
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "")


def acting_in(monkeypatch, dag_id: str) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", dag_id)


def test_the_dags_are_there_once_more_for_each_region(airflow_database, dag_bag, regions):
    dags = load_dags(CHECKOUT / "dags").dags
    with_regions = set(dags)
    single = set(dag_bag.dags)
    assert not [dag_id for dag_id in single if "__" in dag_id]
    copied = {
        dag_id for dag_id in single if "for_each_region(" in (CHECKOUT / "dags" / f"{dag_id}.py").read_text()
    }
    assert {"web_analytics_setup", "web_analytics_backfill", "web_analytics_validate"} <= copied
    assert with_regions == single | {f"{dag_id}__{region}" for dag_id in copied for region in ("eu", "us1")}
    for dag_id in ("web_analytics_backfill", "web_analytics_backfill__eu", "web_analytics_validate__us1"):
        assert {link.name for link in dags[dag_id].tasks[0].operator_extra_links} == {"Coverage"}


def test_tasks_go_to_the_queue_that_is_set(airflow_database):
    program = """
from airflow.dag_processing.dagbag import DagBag
print({task.queue for dag in DagBag(dag_folder="dags").dags.values() for task in dag.tasks})
"""
    for queue, expected in (("", "default"), ("heavy", "heavy")):
        found = subprocess.run(
            [sys.executable, "-c", program],
            cwd=CHECKOUT,
            env={**os.environ, "WEB_ANALYTICS_QUEUE": queue, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert found.stdout.strip().splitlines()[-1] == repr({expected})


def test_a_bad_name_hides_no_dag_and_fails_the_first_task(airflow_database, dag_bag, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_REGIONS", "EU west")
    assert set(load_dags(CHECKOUT / "dags").dags) == set(dag_bag.dags)
    with pytest.raises(BadSetting, match="WEB_ANALYTICS_REGIONS is 'EU west'"):
        Settings.load()


def test_a_regions_variables_win_and_others_hold(regions, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_DAYS", "5")
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_DAYS__EU", "9")
    monkeypatch.setenv("WEB_ANALYTICS_CLICKHOUSE_CONN_ID__EU", "clickhouse_eu")
    here = Settings.load()
    acting_in(monkeypatch, "web_analytics_backfill__eu")
    there = Settings.load()
    assert (here.backfill_days, here.clickhouse_conn_id) == (5, "clickhouse_default")
    assert (there.backfill_days, there.clickhouse_conn_id) == (9, "clickhouse_eu")
    command = trigger_command("web_analytics_backfill", suffix=region_suffix())
    assert command == "airflow dags trigger web_analytics_backfill__eu"


def test_a_region_needs_a_connection_of_its_own(regions, monkeypatch):
    acting_in(monkeypatch, "web_analytics_backfill__us1")
    with pytest.raises(BadSetting, match="WEB_ANALYTICS_CLICKHOUSE_CONN_ID__US1"):
        Settings.load()


def test_a_name_that_is_no_region_changes_nothing(regions, monkeypatch):
    acting_in(monkeypatch, "somebody_elses__dag")
    assert Settings.load().clickhouse_conn_id == "clickhouse_default"


@pytest.fixture
def eu(source, clickhouse_server, regions, monkeypatch):
    """A second database as a region, with events of its own; the first one has its own too."""
    monkeypatch.setenv("WEB_ANALYTICS_CLICKHOUSE_CONN_ID__EU", "clickhouse_eu")
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_EU", clickhouse_server.uri(DATABASE))
    with Client(
        clickhouse_server.host,
        port=clickhouse_server.port,
        user=clickhouse_server.user,
        password=clickhouse_server.password,
    ) as admin:
        admin.execute(f"CREATE DATABASE {DATABASE}")
        with ClickHouse("clickhouse_eu") as connection:
            sample_data.create_source(connection)
            yield Source(connection)
        admin.execute(f"DROP DATABASE {DATABASE} SYNC")


@pytest.mark.slow
def test_each_region_has_its_own_teams_lock_tables_and_report(eu, source, run_dag, settings, days):
    assert run_dag("web_analytics_setup__eu").state == "success"
    source.enable(1)
    source.visits([1], days(3))
    eu.enable(7)
    eu.visits([7], days(3))
    # A lock in one region holds nothing up in the other.
    held = locks.acquire(source.clickhouse, days(3)[0], Owner("some_dag", "some_run"))

    assert run_dag("web_analytics_backfill__eu", {"days_back": 5}).state == "success"
    assert differences_from_oracle(eu.clickhouse, days(3), [7]) == []
    assert source.clickhouse.client.execute("SELECT count() FROM web_pre_aggregated_stats") == [(0,)]
    count = "SELECT count() FROM web_analytics_backfill_log"
    assert source.clickhouse.client.execute(count) == [(0,)]
    assert eu.clickhouse.client.execute(count) != [(0,)]

    locks.release(source.clickhouse, held)
    assert run_dag("web_analytics_backfill", {"days_back": 5}).state == "success"
    assert differences_from_oracle(source.clickhouse, days(3), [1]) == []
    assert eu.clickhouse.client.execute("SELECT uniqExact(team_id) FROM web_pre_aggregated_stats") == [(1,)]
