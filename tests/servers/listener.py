"""A process that serves ClickHouse's own protocols: clickhouse-local's listener, which is not clickhouse-server.

``query_stable_v2`` of ``libchdb.so`` is the command line of clickhouse-local. It is called with statements that start
the listeners, and one that waits for ever, which keeps the process at it.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from xml.sax.saxutils import escape

CHECKOUT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
# PR_SET_PDEATHSIG of Linux: a suite that was killed leaves no server behind.
SIGNAL_AT_PARENTS_DEATH = 1

CONFIG = """<clickhouse>
    <users_config>{users}</users_config>
    <logger><level>warning</level><log>{log}</log></logger>
    <mark_cache_size>268435456</mark_cache_size>
    <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>500</flush_interval_milliseconds></query_log>
{more}
</clickhouse>
"""
USER = """
        <{name}>
            <password/>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            {rights}
        </{name}>"""
EVERYTHING = USER.format(name="default", rights="<access_management>1</access_management>")
USERS = """<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <users>{default}{more}
    </users>
</clickhouse>
"""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Listener:
    """A ClickHouse on ``path`` with a port for each protocol; a context manager, or :meth:`start` and :meth:`stop`.

    :param library: ``libchdb.so``.
    :param more_config: further elements of the configuration, as XML.
    :param users: further users without a password, with their rights as GRANT statements; ``default`` may do everything.
    """

    def __init__(
        self,
        path: Path,
        library: Path,
        *,
        more_config: str = "",
        users: Mapping[str, Sequence[str]] = MappingProxyType({}),
        ports: Sequence[int] = (),
    ):
        self.path, self.library = Path(path), library
        self.host, self.user, self.password = "127.0.0.1", "default", ""
        self.port, self.http_port = ports or free_ports(2)
        self.path.mkdir(parents=True, exist_ok=True)
        self._users, self._config = self.path / "users.xml", self.path / "config.xml"
        more = "".join(USER.format(name=name, rights=_grants(granted)) for name, granted in users.items())
        self._users.write_text(USERS.format(default=EVERYTHING, more=more))
        self._config.write_text(CONFIG.format(users=self._users, log=self.path / "log.txt", more=more_config))
        self._process: subprocess.Popen | None = None

    def start(self) -> Listener:
        # What tables of logs there were is kept in memory alone; over what they left no new ones can be made.
        shutil.rmtree(self.path / "data" / "data" / "system", ignore_errors=True)
        command = [sys.executable, "-m", "tests.servers.listener", str(self.library), str(self.path)]
        with (self.path / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, str(self.port), str(self.http_port)],
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (_answers(self.host, self.port) and _answers(self.host, self.http_port)):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                told = (self.path / "output.txt").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"ClickHouse's listener on {self.path} did not start: {told}")
            time.sleep(0.05)
        return self

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """As a server is stopped; it has nothing to keep after that."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """As when the machine loses power; :meth:`start` works after it."""
        self._end(signal.SIGKILL)

    def _end(self, signum: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signum)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def uri(self, database: str) -> str:
        """An Airflow connection over the native protocol."""
        return f"clickhouse://{self.user}:{self.password}@{self.host}:{self.port}/{database}"

    def __enter__(self) -> Listener:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _grants(statements: Sequence[str]) -> str:
    return f"<grants>{''.join(f'<query>{escape(each)}</query>' for each in statements)}</grants>"


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def serve(library: str, path: str, port: str, http_port: str) -> None:
    """Serves until the process is ended, or the one that started it has ended."""
    os.environ["TZ"] = "UTC"
    ctypes.CDLL(None).prctl(SIGNAL_AT_PARENTS_DEATH, signal.SIGKILL)
    wait = Path(path) / "wait"
    wait.unlink(missing_ok=True)
    os.mkfifo(wait)
    statements = (
        f"SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; SELECT * FROM file('{wait}', LineAsString)"
    )
    arguments = [
        "clickhouse",
        f"--config-file={path}/config.xml",
        f"--path={path}/data",
        "--listen_host=127.0.0.1",
        f"--tcp_port={port}",
        f"--http_port={http_port}",
        "--query",
        statements,
    ]
    encoded = [argument.encode() for argument in arguments]
    engine = ctypes.CDLL(library)
    engine.query_stable_v2.restype = ctypes.c_void_p
    engine.query_stable_v2(len(encoded), (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None))


if __name__ == "__main__":
    serve(*sys.argv[1:])
