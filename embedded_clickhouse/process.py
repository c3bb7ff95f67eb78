"""Runs the server as a child process: what tests and the demo use."""

import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent


class EmbeddedClickHouse:
    """A server process on the data directory `path`; a context manager, or start() and stop().

    `user` is "NAME:PASSWORD"; without it the user is "default" with an empty password. `more_users` are of the
    same form. What the
    server writes goes to `log_file`, by default "<path>.log". With port 0 each start picks a free
    port. A server that does not get ready raises RuntimeError with the end of its log.
    """

    def __init__(
        self, path, port=0, user=None, config_file=None, *, more_users=(), log_file=None, start_timeout=60
    ):
        self.path = Path(path).absolute()
        self.host, self.port, self.pid = "127.0.0.1", port, None
        self.user, self.password = (user or "default:").split(":", 1)
        self.log_file = Path(log_file or f"{self.path}.log")
        self.start_timeout = start_timeout
        self._command = [
            sys.executable,
            "-m",
            "embedded_clickhouse",
            "--path",
            str(self.path),
            "--host",
            self.host,
            "--port",
            str(port),
        ]
        for each in [*([user] if user else []), *more_users]:
            self._command += ["--user", each]
        self._command += ["--config-file", os.path.abspath(config_file)] if config_file else []
        self._process = None

    @property
    def connection_uri(self):
        """The connection for the plugin's hook, on the database `default`."""
        return self.uri()

    def uri(self, database="default"):
        """An Airflow connection URI, as AIRFLOW_CONN_CLICKHOUSE_DEFAULT takes it."""
        login, password, database = (quote(x, safe="") for x in (self.user, self.password, database))
        return f"clickhouse://{login}:{password}@{self.host}:{self.port}/{database}"

    def start(self):
        """Starts the server and returns when it accepts connections."""
        if self._process and self._process.poll() is None:
            raise RuntimeError(f"already running with pid {self.pid}")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        with open(self.log_file, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": python_path},
            )
        self.pid = self._process.pid
        try:
            found = re.match(r".* on (\S+):(\d+),", self._ready_line())
        except BaseException:  # interrupted while waiting
            self.kill()
            raise
        if not found:
            self.kill()
            tail = self.log_file.read_text(errors="replace")[-2000:].strip()
            raise RuntimeError(
                f"the embedded ClickHouse on {self.path} did not start; its log "
                f"{self.log_file} ends with:\n{tail}"
            )
        self.port = int(found[2])
        return self

    def _ready_line(self):
        """The one line the server prints, or what came of it when it died or took too long."""
        line, end, pipe = b"", time.monotonic() + self.start_timeout, self._process.stdout
        with pipe:
            while not line.endswith(b"\n") and (left := end - time.monotonic()) > 0:
                if select.select([pipe], [], [], left)[0]:
                    if not (chunk := os.read(pipe.fileno(), 4096)):
                        break
                    line += chunk
        return line.decode(errors="replace")

    def stop(self, timeout=30):
        """Stops the server cleanly and returns its exit status (None: it was never started)."""
        return self._end(signal.SIGTERM, timeout)

    def kill(self):
        """SIGKILL, as when the machine loses power; start() on the same directory works after it."""
        return self._end(signal.SIGKILL, 30)

    def _end(self, signum, timeout):
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signum)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
