"""The demonstration's ClickHouse: one embedded server per checkout, which outlives the command that starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from embedded_clickhouse.process import EmbeddedClickHouse

STOP_SECONDS = 20
# The Airflow connection, as an address, to an empty database of another ClickHouse that the demonstration may use.
GIVEN = "DEMO_CLICKHOUSE"


@dataclass(frozen=True)
class RunningServer:
    """:ivar pid: None, and no port, of a server that the demonstration has not started."""

    pid: int | None
    port: int | None
    connection_uri: str


def server_of(home: Path) -> DemoServer | GivenServer:
    """The one place where it is chosen: the given one, else the checkout's own."""
    return GivenServer(os.environ[GIVEN]) if os.environ.get(GIVEN) else DemoServer(home)


@dataclass(frozen=True)
class GivenServer:
    """A server that somebody else starts and stops."""

    connection_uri: str
    name: str = "the given ClickHouse"
    has_data: bool = False

    def find(self) -> RunningServer:
        return RunningServer(None, None, self.connection_uri)

    def start(self, *, fresh: bool) -> RunningServer:
        return self.find()

    def stop(self) -> bool:
        return False


@dataclass(frozen=True)
class DemoServer:
    """The server of the checkout whose ``.demo`` directory is ``home``."""

    home: Path
    name: str = "an embedded ClickHouse in .demo/clickhouse"

    @property
    def has_data(self) -> bool:
        return self.data_directory.exists()

    @property
    def data_directory(self) -> Path:
        return self.home / "clickhouse"

    @property
    def environment_file(self) -> Path:
        """Shell assignments: the Airflow connection, which bin/airflow reads, and the process."""
        return self.home / "clickhouse.env"

    def find(self) -> RunningServer | None:
        """The server that was started last, if it still runs."""
        try:
            lines = self.environment_file.read_text().splitlines()
        except FileNotFoundError:
            return None
        values = dict(line.split("=", 1) for line in lines if "=" in line)
        try:
            found = RunningServer(
                int(values["DEMO_CLICKHOUSE_PID"]),
                int(values["DEMO_CLICKHOUSE_PORT"]),
                values["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"],
            )
        except (KeyError, ValueError):
            return None
        return found if _is_embedded_clickhouse(found.pid, self.data_directory) else None

    def start(self, *, fresh: bool) -> RunningServer:
        """Starts the server detached from this process.

        :param fresh: stop the one that runs and begin with an empty data directory.
        """
        if fresh:
            self.stop()
            shutil.rmtree(self.data_directory, ignore_errors=True)
        elif running := self.find():
            return running
        self.home.mkdir(parents=True, exist_ok=True)
        server = EmbeddedClickHouse(self.data_directory, log_file=self.home / "clickhouse.log").start()
        self.environment_file.write_text(
            f"AIRFLOW_CONN_CLICKHOUSE_DEFAULT={server.connection_uri}\n"
            f"DEMO_CLICKHOUSE_PID={server.pid}\n"
            f"DEMO_CLICKHOUSE_PORT={server.port}\n"
        )
        return RunningServer(server.pid, server.port, server.connection_uri)

    def stop(self) -> bool:
        """Stops the server and waits for its end.

        :returns: whether one was running.
        """
        running = self.find()
        if running is not None:
            _end(running.pid, self.data_directory)
        self.environment_file.unlink(missing_ok=True)
        return running is not None


def _end(pid: int, data_directory: Path) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if not _is_embedded_clickhouse(pid, data_directory):
                return
            time.sleep(0.05)
    raise RuntimeError(f"The embedded ClickHouse, process {pid}, does not end.")


def _is_embedded_clickhouse(pid: int, data_directory: Path) -> bool:
    """Whether the process is a server on this directory: after a restart of the machine the same number can be
    anybody's."""
    command = _command_line(pid)
    return "embedded_clickhouse" in command and str(data_directory.absolute()) in command


def _command_line(pid: int) -> str:
    """The command line of a process; empty if it has ended, also while its parent has not noticed."""
    process = Path("/proc") / str(pid)
    if process.parent.joinpath("self").exists():
        try:
            return process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    listed = subprocess.run(
        ["ps", "-ww", "-o", "stat=,command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "" if listed.startswith("Z") else listed
