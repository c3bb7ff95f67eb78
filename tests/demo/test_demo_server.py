"""The demonstration's server outlives the command that starts it and is found again by the next one."""

from __future__ import annotations

import os

import pytest
from clickhouse_driver import Client

from demo.flow import DemoFailed, LastRun, alone
from demo.server import GIVEN, DemoServer, server_of


@pytest.fixture
def demo_server(tmp_path):
    server = DemoServer(tmp_path / ".demo")
    yield server
    server.stop()


def test_start_find_keep_renew_and_stop(demo_server):
    assert demo_server.find() is None
    first = demo_server.start(fresh=True)
    assert demo_server.find() == first
    assert first.connection_uri in demo_server.environment_file.read_text()
    Client("127.0.0.1", port=first.port).execute("CREATE TABLE kept (a UInt8) ENGINE = MergeTree ORDER BY a")

    assert demo_server.start(fresh=False) == first
    assert demo_server.stop() is True
    assert demo_server.find() is None
    assert not demo_server.environment_file.exists()
    assert demo_server.stop() is False

    again = demo_server.start(fresh=False)
    assert Client("127.0.0.1", port=again.port).execute("EXISTS TABLE kept") == [(1,)]
    renewed = demo_server.start(fresh=True)
    assert renewed.pid != again.pid
    assert Client("127.0.0.1", port=renewed.port).execute("EXISTS TABLE kept") == [(0,)]


def test_a_server_that_is_given_is_used_and_left_running(demo_server, monkeypatch):
    assert server_of(demo_server.home) == demo_server
    monkeypatch.setenv(GIVEN, "clickhouse://default:@127.0.0.1:9/given?protocol=http")
    given = server_of(demo_server.home)
    assert given.start(fresh=True) == given.find()
    assert given.find().connection_uri == "clickhouse://default:@127.0.0.1:9/given?protocol=http"
    assert given.stop() is False
    assert not demo_server.home.exists()


def test_another_process_of_the_same_number_is_left_alone(demo_server):
    demo_server.home.mkdir()
    demo_server.environment_file.write_text(
        f"DEMO_CLICKHOUSE_PID={os.getpid()}\nDEMO_CLICKHOUSE_PORT=1\nAIRFLOW_CONN_CLICKHOUSE_DEFAULT=x\n"
    )
    assert demo_server.find() is None
    assert demo_server.stop() is False


def test_nothing_to_verify_before_the_first_run(tmp_path):
    with pytest.raises(DemoFailed, match="run `make demo` first"):
        LastRun.load(tmp_path)


def test_two_demonstrations_of_one_checkout_do_not_disturb_each_other(tmp_path):
    with (
        alone(tmp_path / ".demo"),
        pytest.raises(DemoFailed, match="Another demonstration"),
        alone(tmp_path / ".demo"),
    ):
        pass
    with alone(tmp_path / ".demo"):
        pass
