"""A real API server beside a ClickHouse that hangs: Airflow's own pages and the heartbeats of tasks go on."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from tests.browser.airflow_server import AirflowServer, wait_for
from tests.support import Source, set_up

pytestmark = pytest.mark.slow

TEAMS, COVERAGE = "/web-analytics/teams", "/web-analytics/coverage/data?days=365"
OWN_PAGES = ("/api/v2/monitor/health", "/api/v2/dags", "/execution/health", "/web-analytics/coverage")
CLIENTS = 200


@pytest.fixture
def clickhouse(tmp_path, monkeypatch):
    """A server of this test's own, which it may stop."""
    from embedded_clickhouse.process import EmbeddedClickHouse
    from web_analytics.clickhouse.connection import ClickHouse

    with EmbeddedClickHouse(tmp_path / "clickhouse") as server:
        monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri())
        with ClickHouse("clickhouse_default") as connection:
            set_up(connection)
            Source(connection).enable(1, 2, 3)
        yield server
        os.kill(server.pid, signal.SIGCONT)


def newest_heartbeat(home) -> float | None:
    """Seconds since a running task was last heard of; None where none runs."""
    with sqlite3.connect(f"file:{home}/airflow.db?mode=ro", uri=True, timeout=30) as metadata:
        [(newest,)] = metadata.execute(
            "SELECT max(last_heartbeat_at) FROM task_instance WHERE state = 'running'"
        ).fetchall()
    if newest is None:
        return None
    heard = datetime.fromisoformat(newest).replace(tzinfo=UTC)
    return (datetime.now(UTC) - heard).total_seconds()


def test_a_hanging_clickhouse_takes_neither_airflows_pages_nor_heartbeats(clickhouse, tmp_path):
    home = tmp_path / "airflow"
    home.mkdir()
    with AirflowServer(home, clickhouse.uri()) as airflow:
        # The whole page once, and a token for both people.
        assert airflow.call("GET", TEAMS, user="vera").status == 200
        assert airflow.call("GET", COVERAGE, user="vera").status == 200
        airflow.unpause("web_analytics_backfill")
        os.kill(clickhouse.pid, signal.SIGSTOP)
        created = airflow.call("POST", "/api/v2/dags/web_analytics_backfill/dagRuns", {"logical_date": None})
        assert created.status == 200
        # A task that hangs with ClickHouse, of which its supervisor is heard each second.
        wait_for(lambda: newest_heartbeat(home) is not None, 60, "a running task")

        stop, longest, silences = threading.Event(), dict.fromkeys(OWN_PAGES, 0.0), []

        def look():
            while not stop.is_set():
                for path in OWN_PAGES:
                    started = time.monotonic()
                    assert airflow.call("GET", path).status == 200
                    longest[path] = max(longest[path], time.monotonic() - started)
                silences.append(newest_heartbeat(home))

        with ThreadPoolExecutor(CLIENTS + 1) as pool:
            looking = pool.submit(look)
            asked = [
                pool.submit(airflow.call, "GET", TEAMS if number % 2 else COVERAGE, user="vera")
                for number in range(CLIENTS)
            ]
            answers = [each.result() for each in asked]
            os.kill(clickhouse.pid, signal.SIGCONT)
            went_on = time.monotonic()
            wait_for(lambda: airflow.call("GET", TEAMS, user="vera").status == 200, 60, "the API")
            until_well = time.monotonic() - went_on
            stop.set()
            looking.result()
        refused = [answer for answer in answers if answer.headers.get("retry-after") == "1"]
        print(
            f"refused {len(refused)}, longest {longest}, silences {silences}, well after {until_well:.2f} s"
        )
        assert {answer.status for answer in answers} == {503}
        assert len(refused) >= CLIENTS - 3 * 8, "some waited in a queue"
        assert len(silences) > 5
        # Within a second where nothing else runs; behind a ClickHouse that hangs they would wait for 10 s and more.
        assert max(longest.values()) < 5
        assert max(silence for silence in silences if silence is not None) < 5
        assert until_well < 5
        wait_for(lambda: newest_heartbeat(home) is None, 240, "the end of the run's task")
