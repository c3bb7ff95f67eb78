"""A team's first backfill under a real Airflow whose parts, and PostgreSQL, are killed between change and backfill."""

from __future__ import annotations

import os

import pytest

from benchmarks.live_airflow import LiveAirflow, wait_for
from tests.postgres import crash, new_database, start_again
from tests.support import Source, differences_from_oracle, set_up
from web_analytics.teams import first_backfills

pytestmark = pytest.mark.slow

DAG = "web_analytics_team_backfill"
# A lost part is noticed within seconds.
IMPATIENCE = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "8",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table,project_settings",
    "WEB_ANALYTICS_BACKFILL_DAYS": "1",
    "WEB_ANALYTICS_BACKFILL_SETTLING_MINUTES": "0",
}


@pytest.fixture(scope="module")
def posthog(postgres_server):
    return new_database(postgres_server, "live_posthog")


@pytest.fixture(scope="module")
def live_source(clickhouse_server):
    """A PostHog-shaped source with everything that the setup creates, in a database of its own."""
    from clickhouse_driver import Client

    from web_analytics.clickhouse.connection import ClickHouse

    with Client(clickhouse_server.host, port=clickhouse_server.port) as admin:
        admin.execute("CREATE DATABASE live_teams")
    before = os.environ.get("AIRFLOW_CONN_CLICKHOUSE_DEFAULT")
    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = clickhouse_server.uri("live_teams")
    with ClickHouse("clickhouse_default") as connection:
        set_up(connection)
        yield Source(connection)
    if before is not None:
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = before


@pytest.fixture(scope="module")
def airflow(live_source, posthog, clickhouse_server, tmp_path_factory):
    environment = {**IMPATIENCE, "AIRFLOW_CONN_POSTHOG_DB": posthog.airflow_connection}
    home = tmp_path_factory.mktemp("airflow")
    with LiveAirflow(home, clickhouse_server.uri("live_teams"), environment) as live:
        wait_for(lambda: live.is_known(DAG), 60, "the DAG")
        wait_for(lambda: live.runs(DAG) and live.is_idle(DAG), 90, "the watch of PostgreSQL")
        yield live


@pytest.fixture
def is_backfilled(live_source):
    """``is_backfilled(team)``: waits for it, and compares the team's days with the raw events."""
    from datetime import UTC, datetime

    from web_analytics.rules.partitions import lookback

    days = list(lookback(datetime.now(UTC).date(), 1))

    def wait(team_id: int, seconds: float = 120) -> None:
        def state() -> bool:
            found = first_backfills.read(live_source.clickhouse).get(team_id)
            return found is not None and found.state == "succeeded"

        wait_for(state, seconds, f"the backfill of team {team_id}")
        assert differences_from_oracle(live_source.clickhouse, days, [team_id]) == []

    wait.visits = lambda team_id: live_source.visits([team_id], days, per_day=2)
    return wait


def enable(airflow, team_id: int) -> dict:
    return airflow.call("PUT", f"/web-analytics/teams/{team_id}", {"enabled": True, "backfill_days": 1})


def newest_log(airflow) -> str:
    """What the newest task that has logged anything has logged."""
    logs = (airflow.home / "logs" / f"dag_id={DAG}").rglob("*.log")
    return max(logs, key=lambda log: log.stat().st_mtime).read_text()


def test_put_and_update_are_backfilled(airflow, posthog, is_backfilled):
    for team_id in (1, 2):
        is_backfilled.visits(team_id)
    enable(airflow, 1)
    is_backfilled(1)
    posthog.switch(2)
    is_backfilled(2)
    wait_for(lambda: airflow.is_idle(DAG), 60, "the end of the runs")


def test_an_update_while_the_triggerer_is_dead(airflow, posthog, is_backfilled):
    is_backfilled.visits(3)
    airflow.kill("triggerer")
    posthog.switch(3)
    airflow.start("triggerer")
    is_backfilled(3)


def test_a_put_whose_scheduler_is_killed_at_once(airflow, is_backfilled):
    is_backfilled.visits(4)
    enable(airflow, 4)
    airflow.kill("scheduler")
    airflow.start("scheduler")
    is_backfilled(4, 180)


def test_an_update_whose_postgresql_is_stopped_at_once(airflow, posthog, postgres_server, is_backfilled):
    is_backfilled.visits(5)
    posthog.switch(5)
    crash(postgres_server)
    enable(airflow, 7)  # whose run finds PostgreSQL dead
    # Down for as long as a run needs to fail on it once.
    wait_for(lambda: "project_settings failed" in newest_log(airflow), 60, "a task that misses PostgreSQL")
    start_again(postgres_server)
    is_backfilled(5, 180)


def test_without_a_triggerer_the_detector_is_the_safety_net(airflow, posthog, is_backfilled):
    is_backfilled.visits(6)
    airflow.kill("triggerer")
    posthog.switch(6)
    airflow.call("POST", "/api/v2/dags/web_analytics_backfill/dagRuns", {"logical_date": None, "conf": {}})
    is_backfilled(6, 180)
    airflow.start("triggerer")
