"""One server for the whole folder, a database and a client for each test."""

import itertools
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-"))

from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from embedded_clickhouse.process import EmbeddedClickHouse

numbers = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse") / "data") as running:
        yield running


@pytest.fixture
def connect(server, db):
    """Makes further clients; all are disconnected at the end."""
    clients = []

    def make(**kwargs):
        clients.append(Client(**{"host": server.host, "port": server.port, "database": db, **kwargs}))
        return clients[-1]

    yield make
    for client in clients:
        client.disconnect()


@pytest.fixture
def db(server):
    name = f"test_{next(numbers)}"
    admin = Client(server.host, server.port)
    admin.execute(f"CREATE DATABASE {name}")
    yield name
    admin.execute(f"DROP DATABASE {name}")
    admin.disconnect()


@pytest.fixture
def client(connect):
    return connect()


@pytest.fixture(scope="session")
def wait_until():
    def wait(condition, seconds=10):
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {seconds} s"
            time.sleep(0.01)
        return value

    return wait


@pytest.fixture(scope="session")
def code_of():
    """The code of the error that a statement ends with; the connection is unharmed afterwards."""

    def run(client, *args, **kwargs):
        # The driver hangs up after every error, which would hide a connection that is out of step.
        with patch.object(client, "disconnect"):
            with pytest.raises(ServerException) as caught:
                client.execute(*args, **kwargs)
            sock = client.connection.socket
            client.connection.is_query_executing = False
            assert client.execute("SELECT 'unharmed'") == [("unharmed",)]
            assert client.connection.socket is sock
        return caught.value.code

    return run
