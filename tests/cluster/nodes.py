"""The services of tests/cluster/compose.yaml, which Docker Compose has started: where they are, how they are killed."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

COMPOSE_FILE = Path(__file__).parent / "compose.yaml"
USER = "web_analytics"
KEEPERS = {"keeper-1": 9181, "keeper-2": 9182, "keeper-3": 9183}


@dataclass(frozen=True)
class Node:
    """A ClickHouse, with what the fixtures use of a server's object."""

    service: str
    port: int
    host: str = "127.0.0.1"
    user: str = USER

    @property
    def password(self) -> str:
        return os.environ["CLICKHOUSE_PASSWORD"]

    def uri(self, database: str) -> str:
        return f"clickhouse://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


FIRST, ITS_REPLICA = Node("clickhouse-1-1", 9011), Node("clickhouse-1-2", 9012)
SECOND, SECONDS_REPLICA = Node("clickhouse-2-1", 9021), Node("clickhouse-2-2", 9022)
NODES = (FIRST, ITS_REPLICA, SECOND, SECONDS_REPLICA)


def compose(*arguments: str) -> None:
    """:raises subprocess.CalledProcessError: Docker Compose could not do it."""
    subprocess.run(["docker", "compose", "--file", str(COMPOSE_FILE), *arguments], check=True)


def kill(service: str) -> None:
    compose("kill", "--signal", "KILL", service)


def start(service: str) -> None:
    """Returns when it is healthy."""
    compose("up", "--detach", "--wait", service)


def leader() -> str:
    """The Keeper that leads the others.

    :raises RuntimeError: none does.
    """
    for service, port in KEEPERS.items():
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as keeper:
                keeper.sendall(b"mntr")
                told = b"".join(iter(lambda keeper=keeper: keeper.recv(4096), b"")).decode()
        except OSError:
            continue
        if "zk_server_state\tleader" in told:
            return service
    raise RuntimeError("No Keeper leads.")
