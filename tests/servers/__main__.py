"""``python -m tests.servers [--http] COMMAND …`` runs a command with CLICKHOUSE_TEST_URL on a listener of its own; it is also
the ClickHouse of ``make demo``."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.server import GIVEN
from tests.servers.fetch import library
from tests.servers.listener import Listener

DATABASE = "given"
# Tells tests that the server is a listener, which cannot do all that a server can, and where its library is.
LISTENER = "CLICKHOUSE_TEST_LISTENER"


def main(command: list[str]) -> int:
    over_http = command[:1] == ["--http"]
    command = command[1:] if over_http else command
    with (
        tempfile.TemporaryDirectory(prefix="listener-") as place,
        Listener(Path(place) / "clickhouse", library()) as server,
    ):
        from clickhouse_driver import Client

        # The listener's own database "default" is an overlay on files; a server has one like this.
        Client(server.host, port=server.port).execute(f"CREATE DATABASE {DATABASE} ENGINE = Atomic")
        protocol, port = ("http", server.http_port) if over_http else ("native", server.port)
        address = f"{server.user}:{server.password}@{server.host}:{port}/{DATABASE}"
        environment = {
            **os.environ,
            "CLICKHOUSE_TEST_URL": f"{'http' if over_http else 'clickhouse'}://{address}",
            LISTENER: str(library()),
            GIVEN: f"clickhouse://{address}?protocol={protocol}",
        }
        return subprocess.run(command, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
