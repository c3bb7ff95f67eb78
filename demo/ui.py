"""Airflow with its UI on the demonstration's ClickHouse."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

DEFAULT_PORT = 8080
STOP_SECONDS = 10


@contextlib.contextmanager
def alone(folder: Path) -> Generator[None]:
    """Two Airflows on one home would take each other's tasks, and FRESH=1 would take the first one's data away.

    :raises RuntimeError: another process is inside for this folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "ui.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError("make ui runs already in this checkout; end it with Ctrl-C first.") from None
        yield


def free_port(wanted: int, host: str = "127.0.0.1") -> int:
    """The wanted port, or any free one if somebody else listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise OSError(f"{host} has no free port")


def _home(checkout: Path) -> str:
    """That of ``bin/airflow``, so that its commands reach this scheduler."""
    given = os.environ.get("AIRFLOW_HOME", "")
    return str(checkout / ".airflow") if not given or given == str(checkout / ".demo" / "airflow") else given


def environment(checkout: Path, port: int, connection_uri: str) -> dict[str, str]:
    """What ``airflow standalone`` needs to run beside others on one machine; variables that are set win."""
    return {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        **os.environ,
        "AIRFLOW_HOME": _home(checkout),
        # standalone starts its parts by the name "airflow"
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "AIRFLOW_CONN_CLICKHOUSE_DEFAULT": connection_uri,
    }


def run(checkout: Path, connection_uri: str, wanted_port: int = DEFAULT_PORT) -> None:
    """``bin/airflow standalone`` until interrupted; ClickHouse stays.

    Airflow gets a session of its own, since Ctrl-C in a terminal reaches every process of the foreground group:
    a scheduler of Airflow 3.3 that is interrupted once more while it waits for its tasks never ends. It does not
    end either while a task waits for the API server, which ends at the same time: hence the deadline.
    """
    port = free_port(int(os.environ.get("AIRFLOW__API__PORT", wanted_port)))
    print(f"Airflow comes up at http://127.0.0.1:{port}, every visitor an admin; Ctrl-C ends it.", flush=True)
    airflow = subprocess.Popen(
        [checkout / "bin" / "airflow", "standalone"],
        env=environment(checkout, port, connection_uri),
        start_new_session=True,
    )
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        airflow.wait()
    except KeyboardInterrupt:
        print(f"Airflow ends; tasks that still run have {STOP_SECONDS} s.", flush=True)
        airflow.send_signal(signal.SIGINT)
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            airflow.wait(STOP_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(airflow.pid, signal.SIGKILL)
        airflow.wait()
