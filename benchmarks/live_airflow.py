"""An Airflow of its own with the settings of ``make ui``, its parts as processes that can be killed one by one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from demo import ui

CHECKOUT = Path(__file__).resolve().parents[1]
PARTS = ("api-server", "dag-processor", "triggerer", "scheduler")
START_SECONDS = 300

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float, what: str, pause: float = 0.1) -> T:
    """:raises TimeoutError: the condition did not become true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(pause)
    return result


class AirflowApi:
    """Airflow's REST API, as the user to whom the token belongs."""

    def __init__(self, base: str):
        self.base, self.token = base, ""

    def call(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        with urllib.request.urlopen(request, timeout=120) as response:
            return json.load(response)

    def is_healthy(self) -> bool:
        try:
            health = self.call("GET", "/api/v2/monitor/health")
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
        return all(
            health[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor")
        )

    def dags(self) -> dict[str, dict[str, Any]]:
        return {dag["dag_id"]: dag for dag in self.call("GET", "/api/v2/dags?limit=100")["dags"]}

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """:returns: the path of the run."""
        run = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run['dag_run_id'])}"

    def finish(self, run: str, seconds: float = 240, pause: float = 0.1) -> str:
        """:returns: the state in which the run at this path ended."""

        def ended() -> str | None:
            state = self.call("GET", run)["state"]
            return state if state in ("success", "failed") else None

        return wait_for(ended, seconds, f"the end of {run}", pause)

    def instances(self, run: str) -> list[dict[str, Any]]:
        return self.call("GET", f"{run}/taskInstances?limit=100")["task_instances"]


class LiveAirflow(AirflowApi):
    """A context manager: migrated, started and healthy.

    :param home: AIRFLOW_HOME, an empty folder.
    :param environment: what the parts get on top of the settings of ``make ui``.
    """

    def __init__(self, home: Path, connection_uri: str, environment: Mapping[str, str]):
        self.home, self.port = home, ui.free_port(0)
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.environment = {
            **ui.environment(CHECKOUT, self.port, connection_uri),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API_AUTH__JWT_SECRET": "of this run only " * 4,
            **environment,
        }
        self._processes: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> LiveAirflow:
        try:
            subprocess.run(
                [CHECKOUT / "bin" / "airflow", "db", "migrate"],
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                check=True,
            )
            for part in PARTS:
                self.start(part)
            wait_for(self.is_healthy, START_SECONDS, "a healthy Airflow", 1)
            self.token = self.call("GET", "/auth/token")["access_token"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in list(self._processes):
            self.kill(part)

    def start(self, part: str) -> None:
        with (self.home / f"{part}.log").open("ab") as log:
            self._processes[part] = subprocess.Popen(
                [CHECKOUT / "bin" / "airflow", part],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, part: str) -> None:
        """SIGKILL, to all of its processes."""
        process = self._processes.pop(part)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def is_known(self, dag_id: str) -> bool:
        return dag_id in self.dags()

    def runs(self, dag_id: str) -> dict[str, str]:
        """The state of each run, newest first."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?limit=100&order_by=-id")
        return {run["dag_run_id"]: run["state"] for run in answer["dag_runs"]}

    def is_idle(self, dag_id: str) -> bool:
        return set(self.runs(dag_id).values()) <= {"success", "failed"}

    def line_of(self, dag_id: str, run_id: str, task_id: str, words: str) -> datetime | None:
        """When the first try of a task logged a line with these words."""
        log = (
            self.home
            / "logs"
            / f"dag_id={dag_id}"
            / f"run_id={run_id}"
            / f"task_id={task_id}"
            / "attempt=1.log"
        )
        if not log.exists():
            return None
        for line in log.read_text().splitlines():
            if words in line:
                return datetime.fromisoformat(json.loads(line)["timestamp"].replace("Z", "+00:00"))
        return None
