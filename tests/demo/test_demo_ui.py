"""`make ui FRESH=1` in a checkout of its own, the commands of the documentation typed beside it, and Ctrl-C."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.live_airflow import AirflowApi, wait_for
from demo import ui
from tests.conftest import CHECKOUT
from tests.documentation.commands import documented_commands

pytestmark = pytest.mark.slow

PARTS = ("bin", "dags", "demo", "embedded_clickhouse", "include", "plugins")
FILES = ("Makefile", "constraints.txt", "requirements.txt", "requirements-deploy.txt", "requirements-dev.txt")


@pytest.fixture
def checkout(tmp_path) -> Path:
    for folder in PARTS:
        shutil.copytree(CHECKOUT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy2(CHECKOUT / file, tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    return tmp_path


@pytest.fixture
def shell(checkout):
    """Runs a command line there, as a newcomer's shell would."""
    ours = ("AIRFLOW", "WEB_ANALYTICS_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment["AIRFLOW__API__PORT"] = str(ui.free_port(0))

    def start(command: str, log: Path | None = None) -> subprocess.Popen:
        return subprocess.Popen(
            ["bash", "-euc", command],
            cwd=checkout,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=log.open("w") if log else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    yield start
    start("make stop").wait()


def test_what_a_newcomer_types(checkout, shell):
    def run(command: str) -> str:
        process = shell(command)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, f"{command}\n{said}"
        return said

    log = checkout / "ui.log"
    started = shell("make ui FRESH=1", log)
    try:
        address = wait_for(
            lambda: started.poll() is not None or re.search(r"comes up at (http\S+),", log.read_text()),
            240,
            "the address",
        )
        assert started.poll() is None, log.read_text()
        airflow = AirflowApi(address[1])
        wait_for(airflow.is_healthy, 120, "a healthy Airflow")
        # The addresses come last, and nothing of Airflow's own log after them.
        wait_for(lambda: log.read_text().endswith("Ctrl-C ends it.\n"), 30, "the addresses")
        assert f"{address[1]}/plugin/web-analytics-coverage" in log.read_text()
        airflow.token = airflow.call("GET", "/auth/token")["access_token"]
        wait_for(lambda: len(airflow.dags()) == 7, 60, "the DAGs")
        paused = {dag_id for dag_id, dag in airflow.dags().items() if dag["is_paused"]}
        assert paused == {"web_analytics_backfill", "web_analytics_health"}
        triggers = [each for _, each in documented_commands() if each.startswith("bin/airflow dags trigger ")]
        assert len(triggers) >= 9
        for command in triggers:
            run(command)
        runs = airflow.call("GET", "/api/v2/dags/web_analytics_diagnostics/dagRuns")["dag_runs"]
        path = f"/api/v2/dags/web_analytics_diagnostics/dagRuns/{runs[0]['dag_run_id'].replace('+', '%2B')}"
        assert airflow.finish(path) == "success"
    finally:
        os.killpg(started.pid, signal.SIGINT)  # as Ctrl-C does
        assert started.wait(60) is not None
    assert "is stopped" in run("make stop")
