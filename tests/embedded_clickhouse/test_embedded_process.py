"""The command, its data directory, and how it ends."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from clickhouse_driver import Client

from embedded_clickhouse.process import ROOT, EmbeddedClickHouse

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"


def run(*args, cwd=ROOT, env=None):
    """The command with arguments that it refuses."""
    return subprocess.run(
        [sys.executable, "-m", "embedded_clickhouse", *map(str, args)],
        cwd=cwd,
        text=True,
        capture_output=True,
        timeout=30,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
    )


@pytest.fixture
def own(tmp_path):
    server = EmbeddedClickHouse(tmp_path / "data")
    yield server
    server.kill()


@pytest.fixture
def connect_to():
    clients = []

    def make(server):
        clients.append(Client(server.host, server.port))
        return clients[-1]

    yield make
    for client in clients:
        client.disconnect()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--port", "70000"], "70000"),
        (["--port", "-1"], "port"),
        (["--port", "x"], "'x'"),
        (["--port", "0", "--user", "nobody"], "NAME:PASSWORD"),
        (["--port", "0", "--user", ":x"], "NAME:PASSWORD"),
        (["--port", "0", "--config-file", "/no/such.xml"], "/no/such.xml"),
        ([], "--port"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, args, says):
    done = run("--path", tmp_path / "data", *args)
    assert done.returncode != 0
    assert says in done.stderr.splitlines()[-1]
    assert (done.stdout, "Traceback" in done.stderr) == ("", False)


def test_bad_directories_and_ports_are_refused_in_one_sentence(server, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "broken.xml").write_text("<clickhouse>")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for args, says in [
            (["--path", server.path, "--port", 0], f"{server.path} is in use by another process"),
            (["--path", tmp_path / "file", "--port", 0], "File exists"),
            (["--path", tmp_path / "a?b", "--port", 0], "a?b"),
            (
                ["--path", tmp_path / "a", "--port", 0, "--config-file", tmp_path / "broken.xml"],
                "does not start",
            ),
            (["--path", tmp_path / "a", "--port", port], f"127.0.0.1:{port}: Address already in use"),
        ]:
            done = run(*args)
            assert done.returncode == 1
            assert says in done.stderr
            assert (len(done.stderr.splitlines()), done.stdout) == (1, ""), done.stderr


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_one_line_when_ready_and_a_clean_end(tmp_path, signum):
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded_clickhouse", "--path", "data", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    line = process.stdout.readline()
    assert re.fullmatch(
        rf"embedded ClickHouse ready on 127\.0\.0\.1:\d+, engine 26\.9\S*, path {tmp_path}/data\n", line
    )
    client = Client("127.0.0.1", int(line.split(":")[1].split(",")[0]))
    assert client.execute("SELECT 1") == [(1,)]  # and stays connected, idle
    began = time.monotonic()
    process.send_signal(signum)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err) == (0, "", "")
    assert time.monotonic() - began < 2
    client.disconnect()


@pytest.mark.parametrize(
    "sql",
    [
        ENDLESS,
        "INSERT INTO t SELECT number FROM numbers(1000000000000)",
        "SELECT sleepEachRow(3) FROM numbers(100) SETTINGS max_block_size = 1",
    ],
)
def test_a_clean_end_while_a_query_runs(own, connect_to, wait_until, sql):
    with own:
        client, other = connect_to(own), connect_to(own)
        client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        other.execute_with_progress(sql, query_id="run")
        wait_until(lambda: client.execute("SELECT 1 FROM system.processes WHERE query_id = 'run'"))
        began = time.monotonic()
        assert own.stop() == 0
        assert time.monotonic() - began < 2


def test_data_survive_stop_and_kill(own, connect_to, wait_until):
    own.start()
    client = connect_to(own)
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    client.execute("INSERT INTO t VALUES", [(1,), (2,)])
    assert own.stop() == 0
    own.start()
    client = connect_to(own)
    assert client.execute("SELECT count() FROM t") == [(2,)]
    client.execute("CREATE TABLE big (a UInt64) ENGINE = MergeTree ORDER BY a")
    other = connect_to(own)
    other.execute_with_progress("INSERT INTO big SELECT number FROM numbers(1000000000000)", query_id="run")
    wait_until(lambda: client.execute("SELECT count() > 0 FROM big") == [(1,)])
    own.kill()
    own.start()
    client = connect_to(own)
    [[rows, distinct]] = client.execute("SELECT count(), uniqExact(a) FROM big")
    assert rows == distinct > 0
    client.execute("TRUNCATE TABLE big")
    assert client.execute("INSERT INTO big SELECT number FROM numbers(10)") == []
    assert client.execute("SELECT count() FROM t") == [(2,)]
    client.execute("SYSTEM FLUSH LOGS")
    assert client.execute("SELECT count() > 0 FROM system.query_log") == [(1,)]


def test_no_config_is_loaded_by_accident(tmp_path, connect_to):
    bad = "<clickhouse><profiles><default><max_threads>7</max_threads></default></profiles></clickhouse>"
    for place in (
        tmp_path,
        tmp_path / ".clickhouse-local",
        tmp_path / ".clickhouse-client",
        tmp_path / "data",
    ):
        place.mkdir(exist_ok=True)
        for name in ("config.xml", "clickhouse-local.xml", "config.yaml"):
            (place / name).write_text(bad if name.endswith("xml") else "logger: [")
    process = subprocess.Popen(
        [sys.executable, "-m", "embedded_clickhouse", "--path", "data", "--port", "0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        text=True,
        stdout=subprocess.PIPE,
    )
    try:
        client = Client("127.0.0.1", int(process.stdout.readline().split(":")[1].split(",")[0]))
        assert client.execute("SELECT value FROM system.settings WHERE name = 'max_threads'") != [("7",)]
        client.disconnect()
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_a_config_file_without_logs(tmp_path, connect_to):
    config = tmp_path / "config.xml"
    config.write_text("<clickhouse></clickhouse>")
    with EmbeddedClickHouse(tmp_path / "data", config_file=config) as server:
        assert connect_to(server).execute("EXISTS TABLE system.query_log") == [(0,)]


def test_the_python_api(tmp_path, connect_to):
    server = EmbeddedClickHouse(tmp_path / "a dir" / "data", user="me:p@ss/word", log_file=tmp_path / "log")
    assert server.stop() is None
    with server:
        assert server.connection_uri == f"clickhouse://me:p%40ss%2Fword@127.0.0.1:{server.port}/default"
        assert os.path.exists(f"/proc/{server.pid}")
        with pytest.raises(RuntimeError, match="already running"):
            server.start()
        with pytest.raises(RuntimeError, match="in use by another process"):
            EmbeddedClickHouse(server.path, log_file=tmp_path / "other").start()
    assert server.stop() == 0
    assert server.start().kill() == -signal.SIGKILL


def test_concurrent_starts_on_one_directory(tmp_path):
    servers = [EmbeddedClickHouse(tmp_path / "data", log_file=tmp_path / f"{i}.log") for i in range(3)]
    refused = []

    def start(server):
        try:
            server.start()
        except RuntimeError as e:
            refused.append("in use by another process" in str(e))

    threads = [threading.Thread(target=start, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for server in servers:
        server.kill()
    assert refused == [True, True]
