"""Every service of docker-compose.yaml, run by hand: LocalExecutor, and Celery with two workers."""

from __future__ import annotations

import os
import shutil
import time
from datetime import UTC, datetime, timedelta

import psutil
import pytest

from tests.compose.stack import Stack, wait_for
from tests.support import differences_from_oracle, leftovers

pytestmark = pytest.mark.compose

LONG_RUNNING = ("api-server", "scheduler", "dag-processor", "triggerer")
DAYS = 5


@pytest.fixture(params=["LocalExecutor", "CeleryExecutor"])
def stack(request, tmp_path_factory):
    if not shutil.which("redis-server"):
        pytest.fail("There is no redis-server: install it (apt-get install redis-server).")
    home = tmp_path_factory.mktemp(request.param)
    for folder in (home, home.parent, home.parent.parent):
        os.chmod(folder, 0o755)
    celery = request.param == "CeleryExecutor"
    choices = {
        "AIRFLOW_EXECUTOR": request.param,
        "COMPOSE_PROFILES": "celery" if celery else "",
        "SAMPLE_EVENTS": "60000",
    }
    with Stack(home, **choices) as running:
        running.run_init()
        running.start("api-server")
        wait_for(lambda: running.is_sound("api-server"), 240, "a healthy api-server")
        for service in ("scheduler", "dag-processor", "triggerer"):
            running.start(service)
        running.workers = ["worker-1", "worker-2"] if celery else []
        for worker in running.workers:
            running.start("worker", worker)
        wait_for(running.is_healthy, 240, "a healthy Airflow")
        running.sign_in()
        yield running


def newest_run(stack: Stack, dag_id: str) -> str:
    [run] = stack.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?limit=5")["dag_runs"]
    return f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id'].replace('+', '%2B')}"


def a_task_at_work(stack: Stack, run: str) -> dict | None:
    """A running task of a date, and which service runs it."""
    for instance in stack.instances(run):
        at_work = instance["state"] == "running" and instance["task_id"].startswith("build_date.")
        if at_work and instance["pid"] and (owner := stack.owner_of(instance["pid"])):
            return {**instance, "owner": owner}
    return None


def kill_in_the_middle(stack: Stack, run: str) -> dict:
    """Kills whatever runs a task of a date; of the scheduler only the process that runs the task."""
    victim = wait_for(lambda: a_task_at_work(stack, run), 180, "a task at work")
    if victim["owner"] == "scheduler":
        task = psutil.Process(victim["pid"])
        for process in (task.parent(), *task.children(recursive=True), task):
            if process.pid != stack.processes["scheduler"].pid:
                process.kill()
    else:
        stack.kill(victim["owner"])
    return victim


def test_the_services_complete_a_backfill_though_a_worker_is_killed(stack, monkeypatch):
    setup = newest_run(stack, "web_analytics_setup")
    wait_for(lambda: stack.state(setup) in ("success", "failed"), 180, "the setup that init triggered")
    assert stack.state(setup) == "success"
    for service in LONG_RUNNING:
        assert stack.is_sound(service), service
    for worker in stack.workers:
        wait_for(lambda worker=worker: stack.is_sound("worker", worker), 60, worker)

    stack.unpause("web_analytics_backfill")
    run = stack.trigger("web_analytics_backfill", {"days_back": DAYS + 1, "max_partitions": DAYS})
    killed = []
    while not killed:
        victim = kill_in_the_middle(stack, run)
        if victim["owner"] != "scheduler":
            stack.start("worker", victim["owner"])
        time.sleep(1)
        if stack.state(run) not in ("queued", "running"):
            break
        now = {(each["task_id"], each["map_index"]): each for each in stack.instances(run)}
        if now[victim["task_id"], victim["map_index"]]["state"] != "success":
            killed.append(victim)
    assert killed, "every task that was to be killed had ended just before"

    wait_for(lambda: stack.state(run) in ("success", "failed"), 400, "the end of the backfill")
    [victim] = killed
    ended = {(each["task_id"], each["map_index"]): each for each in stack.instances(run)}
    assert stack.state(run) == "success", ended
    assert ended[victim["task_id"], victim["map_index"]]["try_number"] > victim["try_number"]

    # It has started the first backfill of teams that are new to it.
    active = "/api/v2/dags/~/dagRuns?state=queued&state=running"
    wait_for(lambda: not stack.call("GET", active)["dag_runs"], 400, "the end of all other runs")
    ended_runs = stack.call("GET", "/api/v2/dags/~/dagRuns")["dag_runs"]
    assert {each["state"] for each in ended_runs} == {"success"}, ended_runs

    from web_analytics.clickhouse.connection import ClickHouse

    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", stack.clickhouse_uri)
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=number) for number in range(2, DAYS + 1)]
    with ClickHouse("clickhouse_default") as clickhouse:
        teams = [row["team_id"] for row in clickhouse.query("teams/list_enabled")]
        assert len(teams) > 5
        assert differences_from_oracle(clickhouse, days, teams) == []
        assert (
            sum(
                count
                for (count,) in clickhouse.client.execute("SELECT count() FROM web_pre_aggregated_stats")
            )
            > 1000
        )
        assert leftovers(clickhouse) == []

    held_in = {"Airflow's logs": stack.airflow_home / "logs", "the services' output": stack.home}
    for where, folder in held_in.items():
        files = folder.rglob("*.log") if folder != stack.home else folder.glob("*.log")
        written = "\n".join(file.read_text(errors="replace") for file in files)
        assert written
        for name, secret in stack.secrets.items():
            assert secret not in written, f"{name} is in {where}"
