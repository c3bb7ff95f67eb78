"""A real API server beside a ClickHouse that hangs: Airflow's own pages and the heartbeats of tasks go on."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import httpx
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


def ask_at_once(base: str, token: str, paths: list[str]) -> list[tuple[int, str | None]]:
    """Status and Retry-After of a request for each path. In a process of its own: its work must not be taken for time that
    the server takes."""

    async def ask_all() -> list[httpx.Response]:
        headers, unlimited = {"Authorization": f"Bearer {token}"}, httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=base, headers=headers, limits=unlimited, timeout=120) as client:
            return await asyncio.gather(*[client.get(path) for path in paths])

    return [(answer.status_code, answer.headers.get("retry-after")) for answer in asyncio.run(ask_all())]


def test_a_hanging_clickhouse_takes_neither_airflows_pages_nor_heartbeats(clickhouse, tmp_path):
    home = tmp_path / "airflow"
    home.mkdir()
    with (
        AirflowServer(home, clickhouse.uri()) as airflow,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as elsewhere,
    ):
        # The whole page once, and a token for both people.
        for path in (TEAMS, COVERAGE):
            wait_for(lambda path=path: airflow.call("GET", path, user="vera").status == 200, 120, path)
        airflow.unpause("web_analytics_backfill")
        os.kill(clickhouse.pid, signal.SIGSTOP)
        created = airflow.call("POST", "/api/v2/dags/web_analytics_backfill/dagRuns", {"logical_date": None})
        assert created.status == 200
        # A task that hangs with ClickHouse, of which its supervisor is heard each second.
        wait_for(lambda: newest_heartbeat(home) is not None, 60, "a running task")

        def look(is_over) -> tuple[dict[str, float], list[float]]:
            """The longest time of each page, and how long nothing was heard of the task."""
            longest, silences = dict.fromkeys(OWN_PAGES, 0.0), []
            while not is_over():
                for path in OWN_PAGES:
                    started = time.monotonic()
                    assert airflow.call("GET", path).status == 200
                    longest[path] = max(longest[path], time.monotonic() - started)
                silences.append(newest_heartbeat(home) or 0.0)
            return longest, silences

        elsewhere.submit(os.getpid).result()  # it has started
        rounds = iter(range(20))
        usual, _ = look(lambda: next(rounds, None) is None)
        paths = [TEAMS if number % 2 else COVERAGE for number in range(CLIENTS)]
        asked = elsewhere.submit(ask_at_once, airflow.base, airflow.token("vera"), paths)
        longest, silences = look(asked.done)
        answers = asked.result()
        os.kill(clickhouse.pid, signal.SIGCONT)
        went_on = time.monotonic()
        wait_for(lambda: airflow.call("GET", TEAMS, user="vera").status == 200, 60, "the API")
        until_well = time.monotonic() - went_on
        refused = [answer for answer in answers if answer[1] == "1"]
        print(
            f"refused {len(refused)}, usual {usual}, longest {longest}, silences {silences}, well after {until_well:.2f} s"
        )
        assert {status for status, _ in answers} == {503}
        assert len(refused) >= CLIENTS - 3 * 8, "some waited in a queue"
        assert len(silences) > 5
        # Within a second. Where others use the machine as well, everything takes longer, also a page by itself; the 200
        # refusals are as much work as 20 of the slowest page.
        late = 10 * max(usual.values())
        assert max(longest.values()) < 1 + late
        assert max(silences) < 2 + late
        assert until_well < 1 + late
        wait_for(lambda: newest_heartbeat(home) is None, 240, "the end of the run's task")
