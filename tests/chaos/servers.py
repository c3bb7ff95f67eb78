"""The processes around a trial: ClickHouse, one of several kinds, and the proxy before it.

Each server can be started, killed and started again on what it has stored. It says with which ``kinds`` of fault it
can be harmed, and by which ``protocol`` runs come to its port ``entry``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from clickhouse_driver import Client

from embedded_clickhouse.process import EmbeddedClickHouse
from tests.chaos.faults import KINDS, KINDS_AROUND_STATEMENTS
from tests.servers.fetch import library
from tests.servers.given import GivenServer
from tests.servers.listener import Listener

PATIENCE_SECONDS = 4  # the driver's send_receive_timeout; no statement of a trial is silent for so long
STALL_SECONDS = 6


class FaultyClickHouse(EmbeddedClickHouse):
    """The server of tests/chaos/server.py; it keeps its port when it is started again."""

    kinds, protocol = KINDS, "native"

    @property
    def entry(self) -> int:
        return self.port

    def __init__(self, home: Path):
        super().__init__(home / "clickhouse", log_file=home / "clickhouse.log")
        self.control = home / "control"
        self.control.mkdir(parents=True, exist_ok=True)
        self._command[self._command.index("embedded_clickhouse")] = "tests.chaos.server"
        self._plans = 0

    def start(self):
        os.environ["CHAOS_CONTROL"] = str(self.control)
        super().start()
        self._command[self._command.index("--port") + 1] = str(self.port)
        return self

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def plan(self, **plan: Any) -> None:
        """What the server is to do from now on; see tests/chaos/server.py."""
        self._plans += 1
        new = self.control / "plan.new"
        new.write_text(json.dumps({**plan, "number": self._plans}))
        os.utime(new, ns=(time.time_ns(), time.time_ns()))
        new.replace(self.control / "plan.json")

    def forget(self) -> None:
        """Peace: no faults, and nothing known of earlier ones."""
        self.plan()
        for name in ("struck.jsonl", "seen.jsonl"):
            (self.control / name).unlink(missing_ok=True)

    def struck(self) -> list[dict[str, Any]]:
        return self._rows("struck.jsonl")

    def seen(self) -> list[dict[str, Any]]:
        return self._rows("seen.jsonl")

    def _rows(self, name: str) -> list[dict[str, Any]]:
        path = self.control / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def admin(self, database: str = "default") -> Client:
        return _admin(self, database)


class Unplanned:
    """A server of which no statement can be made to fail: no plan changes anything."""

    kinds, protocol = KINDS_AROUND_STATEMENTS, "native"
    host: str
    port: int
    user: str
    password: str

    @property
    def entry(self) -> int:
        return self.port

    def plan(self, **_: Any) -> None: ...

    def forget(self) -> None: ...

    def struck(self) -> list[dict[str, Any]]:
        return []

    def admin(self, database: str = "default") -> Client:
        return _admin(self, database)


class ListeningClickHouse(Unplanned, Listener):
    """ClickHouse's own listener."""

    def __init__(self, home: Path, protocol: str):
        super().__init__(home / "clickhouse", library())
        self.protocol = protocol

    @property
    def entry(self) -> int:
        return self.http_port if self.protocol == "http" else self.port


class CommandedClickHouse(Unplanned, GivenServer):
    """The one at CLICKHOUSE_TEST_URL, on this machine and by the native protocol, which two commands of the shell kill and
    start: CHAOS_KILL and CHAOS_START, which returns when it is up."""

    def __init__(self) -> None:
        super().__init__(os.environ["CLICKHOUSE_TEST_URL"])
        self._is_down = False

    def start(self) -> None:
        if self._is_down:
            subprocess.run(os.environ["CHAOS_START"], shell=True, check=True, stdout=sys.stderr)
        self._is_down = False

    def kill(self) -> None:
        subprocess.run(os.environ["CHAOS_KILL"], shell=True, check=True, stdout=sys.stderr)
        self._is_down = True

    def has_ended(self) -> bool:
        return self._is_down

    def stop(self) -> None:
        """It is somebody else's."""
        self.start()


def _admin(server: EmbeddedClickHouse | Unplanned, database: str) -> Client:
    return Client(
        server.host,
        port=server.port,
        user=server.user,
        password=server.password,
        database=database,
        send_receive_timeout=30,
    )


SERVERS = {
    "embedded": FaultyClickHouse,
    "listener": lambda home: ListeningClickHouse(home, "native"),
    "listener-http": lambda home: ListeningClickHouse(home, "http"),
    "given": lambda home: CommandedClickHouse(),
}


class ProxyProcess:
    def __init__(self, target_port: int):
        command = [sys.executable, "-m", "tests.chaos.proxy", str(target_port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.port = int(self._process.stdout.readline())

    def order(self, command: str) -> None:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)


def airflow_connection(server: EmbeddedClickHouse | Unplanned, port: int, database: str) -> dict[str, Any]:
    """To a server by way of the proxy on ``port``."""
    return {
        "conn_type": "clickhouse",
        "host": "127.0.0.1",
        "port": port,
        "login": server.user,
        "password": server.password,
        "schema": database,
        "extra": {
            "protocol": server.protocol,
            "send_receive_timeout": PATIENCE_SECONDS,
            "connect_timeout": PATIENCE_SECONDS,
        },
    }
