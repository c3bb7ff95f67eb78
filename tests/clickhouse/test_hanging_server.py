"""A server that hangs keeps nobody waiting who asks another, though both are asked by threads of one process."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed
from web_analytics.teams import registry
from web_analytics.teams.registry import RegistryBusy

SECONDS = 20
PATIENT = dict.fromkeys(("connect_timeout", "send_receive_timeout", "sync_request_timeout"), 600)


@pytest.fixture
def beside_a_question(monkeypatch):
    """``beside_a_question(ask)``: asks a server that never answers, and comes back once it waits."""
    threads, connections = [], []
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        connection = {"conn_type": "clickhouse", "host": host, "port": port, "extra": PATIENT}
        monkeypatch.setenv("AIRFLOW_CONN_HANGING", json.dumps(connection))

        server.settimeout(SECONDS)

        def begin(ask: Callable[[ClickHouse], Any]) -> None:
            def wait_for_ever():
                with contextlib.suppress(QueryFailed):
                    ask(ClickHouse("hanging", pauses=()))

            threads.append(threading.Thread(target=wait_for_ever, daemon=True))
            threads[-1].start()
            connections.append(server.accept()[0])
            assert connections[-1].recv(1)

        yield begin
    # There is nobody to connect to once more.
    for connection in connections:
        connection.close()
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def answer_of(ask: Callable[[], Any]) -> list[Any]:
    """What another thread was answered; nothing where it waits."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(SECONDS)
    return answers


@pytest.mark.parametrize("name", ["database", "server_version"])
def test_what_is_known_of_a_server_is_asked_for_side_by_side(beside_a_question, clickhouse, name):
    beside_a_question(lambda hanging: getattr(hanging, name))
    assert answer_of(lambda: getattr(clickhouse, name))


def test_the_dictionaries_of_two_servers_are_reloaded_side_by_side(beside_a_question, web_analytics_schema):
    beside_a_question(registry.publish)
    assert answer_of(lambda: registry.publish(web_analytics_schema)) == [None]


def test_who_waits_for_a_reload_of_the_same_is_told_in_time(beside_a_question):
    beside_a_question(registry.publish)
    with (
        ClickHouse("hanging", answer_within=0.2) as impatient,
        pytest.raises(RegistryBusy, match="reloading the dictionary of teams for too long"),
    ):
        registry.publish(impatient)
