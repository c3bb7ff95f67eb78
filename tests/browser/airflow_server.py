"""A whole Airflow with real logins on a free port, for the browser test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECONDS = 240
DAGS = {"web_analytics_backfill", "web_analytics_team_backfill", "web_analytics_validate"}
# name: (role, password)
USERS = {"anna": ("admin", "anna's password"), "vera": ("viewer", "vera's password")}


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.25)


class Answer:
    """What an endpoint answered."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]):
        self.status, self.body, self.headers = status, body, headers

    def json(self) -> Any:
        return json.loads(self.body)


class AirflowServer:
    """``airflow standalone`` with SQLite and two users; a context manager.

    :param connection_uri: the ClickHouse that its tasks and the page talk to.
    """

    def __init__(self, home: Path, connection_uri: str, environment: dict[str, str] | None = None):
        self.home = home
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({name: password for name, (_, password) in USERS.items()}))
        self._environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__BASE_URL": self.base,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.base}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(
                f"{name}:{role}" for name, (role, _) in USERS.items()
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
            "AIRFLOW_CONN_CLICKHOUSE_DEFAULT": connection_uri,
            **(environment or {}),
        }
        self._tokens: dict[str, str] = {}

    def __enter__(self) -> AirflowServer:
        self._log = open(self.home / "standalone.log", "wb")
        self._process = subprocess.Popen(
            [CHECKOUT / "bin" / "airflow", "standalone"],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(self._is_healthy, START_SECONDS, "a healthy Airflow")
            wait_for(lambda: self.dags().keys() >= DAGS, 120, "the DAGs")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Whatever of its children did not stop with it.
            subprocess.run(["pkill", "-KILL", "-s", str(self._process.pid)], check=False)
            self._log.close()

    def call(
        self, method: str, path: str, body: Any = None, *, user: str | None = "anna", timeout: float = 60
    ) -> Answer:
        """One request as a user; as nobody with ``user=None``."""
        headers = {"Content-Type": "application/json"}
        if user:
            headers["Authorization"] = f"Bearer {self.token(user)}"
        request = urllib.request.Request(
            self.base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers=headers,
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as response:
                return Answer(response.status, response.read(), dict(response.headers))
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read(), dict(error.headers))

    def dags(self) -> dict[str, dict]:
        return {dag["dag_id"]: dag for dag in self.call("GET", "/api/v2/dags?limit=100").json()["dags"]}

    def unpause(self, dag_id: str) -> None:
        self._set_paused(dag_id, False)

    def pause(self, dag_id: str) -> None:
        self._set_paused(dag_id, True)

    def _set_paused(self, dag_id: str, is_paused: bool) -> None:
        assert self.call("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": is_paused}).status == 200

    def run(self, dag_id: str, conf: dict, seconds: float = 240) -> str:
        """Triggers a run and waits for its end.

        :returns: its state.
        """
        created = self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        assert created.status == 200, created.body
        path = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(created.json()['dag_run_id'])}"

        def ended():
            state = self.call("GET", path).json()["state"]
            return state if state in ("success", "failed") else None

        return wait_for(ended, seconds, f"the end of {path}")

    def token(self, user: str) -> str:
        if user not in self._tokens:
            login = {"username": user, "password": USERS[user][1]}
            answer = self.call("POST", "/auth/token", login, user=None)
            self._tokens[user] = answer.json()["access_token"]
        return self._tokens[user]

    def _is_healthy(self) -> bool:
        try:
            health = self.call("GET", "/api/v2/monitor/health", user=None, timeout=10).json()
        except (OSError, ValueError):
            return False
        return all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor"))
