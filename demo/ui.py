"""Airflow with its UI on the demonstration's ClickHouse."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from pathlib import Path

DEFAULT_PORT = 8080
STOP_SECONDS = 10
LOOK_SECONDS = 1


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


def _is_up(airflow: subprocess.Popen, address: str) -> bool:
    """Waits until it answers; False where it has ended before."""
    while airflow.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{address}/api/v2/monitor/health", timeout=5),
        ):
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            airflow.wait(LOOK_SECONDS)
    return False


def run(checkout: Path, connection_uri: str, wanted_port: int = DEFAULT_PORT) -> None:
    """``bin/airflow standalone`` until interrupted; ClickHouse stays.

    Airflow gets a session of its own, since Ctrl-C in a terminal reaches every process of the foreground group:
    a scheduler of Airflow 3.3 that is interrupted once more while it waits for its tasks never ends. It does not
    end either while a task waits for the API server, which ends at the same time: hence the deadline.
    """
    port = free_port(int(os.environ.get("AIRFLOW__API__PORT", wanted_port)))
    address, settings = f"http://127.0.0.1:{port}", environment(checkout, port, connection_uri)
    home = Path(settings["AIRFLOW_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    log = home / "standalone.log"
    print(
        f"Airflow comes up at {address}, which takes about half a minute. What it says is in {log}.",
        flush=True,
    )
    with log.open("wb") as output:
        airflow = subprocess.Popen(
            [checkout / "bin" / "airflow", "standalone"],
            env=settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signal_number, signal.default_int_handler)
    try:
        if _is_up(airflow, address):
            print(
                f"Airflow is up, every visitor an admin: {address}\n"
                f"The coverage page: {address}/plugin/web-analytics-coverage\nCtrl-C ends it.",
                flush=True,
            )
        airflow.wait()
        raise RuntimeError(f"Airflow has ended by itself; {log} says why.")
    except KeyboardInterrupt:
        print(f"Airflow ends; tasks that still run have {STOP_SECONDS} s.", flush=True)
        airflow.send_signal(signal.SIGINT)
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            airflow.wait(STOP_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(airflow.pid, signal.SIGKILL)
        airflow.wait()
