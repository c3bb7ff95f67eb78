"""What requests may take of the API server: places, threads, time, bodies; and what an answer may give away."""

from __future__ import annotations

import inspect
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn

from tests.conftest import CHECKOUT
from web_analytics.api import app, limits, problems, security
from web_analytics.api.dependencies import clickhouse as clickhouse_dependency
from web_analytics.clickhouse import connection
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import BadSetting, QueryFailed
from web_analytics.teams.selection import TeamSelectionFailed

TEAMS = "/web-analytics/teams"
COVERAGE = "/web-analytics/coverage/data"
DECISIONS = "/web-analytics/coverage/decisions"
PLACES = 8


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


@pytest.fixture
def stopped(source, clickhouse_server, is_embedded):
    """``stopped()`` stops the server of this process's tests as a hanging machine would; it goes on afterwards."""
    if not is_embedded:
        pytest.skip("stops the server, which other processes of the tests use too where it is a given one")
    source.enable(1)
    yield lambda: os.kill(clickhouse_server.pid, signal.SIGSTOP)
    os.kill(clickhouse_server.pid, signal.SIGCONT)


@pytest.fixture
def served(airflow_database):
    """Airflow's application behind a real socket, so that clients can go away."""
    from airflow.api_fastapi.app import create_app

    config = uvicorn.Config(create_app(apps="core"), port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, 60)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()


def test_a_clickhouse_that_hangs_takes_no_more_than_its_places(
    served, login, stopped, clickhouse_server, monkeypatch
):
    # However slow this machine is, nobody gives up while the server is stopped.
    monkeypatch.setenv("WEB_ANALYTICS_API_MAX_SECONDS", "300")
    monkeypatch.setitem(connection.IMPATIENT, "send_receive_timeout", 300)
    headers = login("viewer")
    everything = httpx.Limits(max_connections=None)
    with httpx.Client(base_url=served, headers=headers, limits=everything, timeout=60) as client:
        assert client.get(TEAMS).status_code == 200

        def ask(path):
            started = time.monotonic()
            answer = client.get(path)
            return answer, time.monotonic() - started

        looked_up, may = [], security.may
        monkeypatch.setattr(security, "may", lambda *person: looked_up.append(person) or may(*person))
        stopped()
        with ThreadPoolExecutor(60) as pool:
            asked = [pool.submit(ask, TEAMS if number % 2 else COVERAGE) for number in range(60)]
            wait_for(lambda: sum(each.done() for each in asked) >= 60 - PLACES)
            assert limits.PLACES.taken == PLACES
            # Of the others not even the rights: that takes a thread and the metadata database of Airflow's own pages.
            assert len(looked_up) == PLACES
            # Airflow's own pages, meanwhile.
            for path in ("/api/v2/monitor/health", "/api/v2/dags", "/web-analytics/coverage"):
                answer, seconds = ask(path)
                assert answer.status_code == 200
                assert seconds < 10, path
            refused = [each.result()[0] for each in asked if each.done()]
            assert {(each.status_code, each.headers["retry-after"]) for each in refused} == {(503, "1")}
            os.kill(clickhouse_server.pid, signal.SIGCONT)
            statuses = [each.result()[0].status_code for each in asked]
        assert statuses.count(200) == PLACES
        assert client.get(TEAMS).status_code == 200
        assert limits.PLACES.taken == 0


def test_a_clickhouse_that_hangs_on_is_given_up(airflow_api, login, stopped, monkeypatch):
    monkeypatch.setitem(connection.IMPATIENT, "send_receive_timeout", 1)
    stopped()
    answer = airflow_api.get(TEAMS, headers=login("viewer"))
    assert answer.status_code == 503
    assert "code 209" in answer.json()["detail"]


@pytest.fixture
def slow(source):
    """The history as a view that takes hours to read; ``slow()`` counts who is reading it for the API."""
    admin = source.clickhouse.client
    columns = admin.execute("DESCRIBE web_analytics_backfill_log")
    values = {name: f"defaultValueOfTypeName($${type_}$$)" for name, type_, *_ in columns}
    constants = ", ".join(f"{value} AS {name}" for name, value in {**values, "kind": "'decision'"}.items())
    admin.execute("RENAME TABLE web_analytics_backfill_log TO log_elsewhere")
    admin.execute(
        f"CREATE VIEW web_analytics_backfill_log AS SELECT {constants} FROM numbers(10000000000000) "
        "WHERE sipHash64(number) = 0"
    )
    return lambda: admin.execute(
        "SELECT count() FROM system.processes WHERE startsWith(query_id, 'web_analytics_api:')"
    )[0][0]


def test_the_time_of_a_request_is_bounded(airflow_api, login, slow, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_API_MAX_SECONDS", "2")
    answer = airflow_api.get(DECISIONS, headers=login("viewer"))
    assert answer.status_code == 503, answer.text
    assert "code 159" in answer.json()["detail"]
    assert "Ask for fewer days or teams." in answer.json()["detail"]
    assert slow() == 0


def test_a_query_ends_with_its_client(served, login, slow, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_API_MAX_SECONDS", "300")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(httpx.get, served + DECISIONS, headers=login("viewer"), timeout=5)
        wait_for(lambda: slow() == 1)
        with pytest.raises(httpx.ReadTimeout):
            asked.result()
    wait_for(lambda: slow() == 0 and limits.PLACES.taken == 0, 60)  # not by its own time


def test_all_statements_together_have_the_time(source):
    with ClickHouse("clickhouse_default", answer_within=3) as impatient:
        impatient.query("teams/count_registered")
        wait_for(lambda: impatient.seconds_left <= 0)
        for each in (impatient, impatient.another()):
            with pytest.raises(QueryFailed) as failed:
                each.query("teams/count_registered")
            assert failed.value.code == 159


def test_what_asks_clickhouse_blocks_no_thread_of_airflow():
    """A dependency or an endpoint that is no coroutine is run in the one pool of Airflow's endpoints."""
    asking = 0
    for route in app.app.routes:
        found = [each for each in route.dependant.dependencies if each.call is clickhouse_dependency]
        if found:
            assert inspect.iscoroutinefunction(route.endpoint), route.path
            assert [each.scope for each in found] == ["function"], route.path
            # Whoever cannot be answered costs neither a check of a login nor one of a right.
            assert route.dependant.dependencies[0].call is limits.Place.dependency, route.path
            asking += 1
    assert asking >= 6
    for handler in app.app.exception_handlers.values():
        assert inspect.iscoroutinefunction(handler), handler


@pytest.mark.parametrize("length", [limits.LONGEST_BODY + 1, 5_000_000])
@pytest.mark.parametrize("says_its_length", [True, False])
def test_a_long_body_is_refused_before_it_is_read(airflow_api, login, source, length, says_its_length):
    sent = 0

    def chunks():
        nonlocal sent
        for _ in range(0, length, 1000):
            sent += 1000
            yield b" " * 1000
        yield b'{"enabled": true}'

    content = b" " * length + b'{"enabled": true}' if says_its_length else chunks()
    headers = {**login("admin"), "Content-Type": "application/json"}
    answer = airflow_api.put(f"{TEAMS}/1", content=content, headers=headers)
    assert answer.status_code == 413, answer.text
    assert source.clickhouse.query("teams/count_registered")[0]["teams"] == 0
    assert airflow_api.put(f"{TEAMS}/1", content=content[:1] if says_its_length else b"").status_code in (
        401,
        422,
    )


def test_what_shows_customers_data_is_not_kept(airflow_api, login, source):
    source.enable(1)
    headers = login("viewer")
    for path in (TEAMS, f"{TEAMS}/1", f"{TEAMS}/99", COVERAGE, "/web-analytics/coverage/decisions",
                 "/web-analytics/coverage/actions", "/web-analytics/openapi.json"):  # fmt: skip
        assert airflow_api.get(path, headers=headers).headers["cache-control"] == "no-store", path
        assert airflow_api.get(path).headers["cache-control"] == "no-store", path
    page = airflow_api.get("/web-analytics/coverage", headers=headers)
    assert page.headers["cache-control"] == "no-cache"


def test_the_document_asks_for_a_login_and_no_page_loads_from_elsewhere(airflow_api, login):
    assert airflow_api.get("/web-analytics/openapi.json").status_code == 401
    for path in ("/web-analytics/docs", "/web-analytics/redoc", "/web-analytics/docs/oauth2-redirect"):
        assert airflow_api.get(path, headers=login("admin")).status_code == 404
    for file in (CHECKOUT / "plugins/web_analytics/api").rglob("*.html"):
        assert "//" not in file.read_text().replace("<!doctype", ""), file


@pytest.mark.parametrize(
    "uri",
    [
        "clickhouse://somebody:a-secret@127.0.0.1:9/default",
        "clickhouse://somebody:a-secret@db-7.internal.invalid:9000/default",
        "clickhouse://somebody:a-secret@127.0.0.1:{port}/default",
    ],
)
def test_an_error_names_no_host_port_or_user(airflow_api, login, clickhouse_server, monkeypatch, caplog, uri):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", uri.format(port=clickhouse_server.port))
    for path in (TEAMS, f"{TEAMS}/1", COVERAGE):
        answer = airflow_api.get(path, headers=login("viewer"))
        assert answer.status_code == 503
        for word in (
            "127.0.0.1",
            "internal",
            "somebody",
            "a-secret",
            ":9/",
            ":9000",
            str(clickhouse_server.port),
        ):
            assert word not in answer.text
    # Who runs the server finds it there.
    assert "somebody" in caplog.text or "127.0.0.1" in caplog.text or "internal" in caplog.text


def test_every_kind_of_error_is_told_without_what_others_said():
    said = "could not connect to server db-7.internal (10.0.0.7), port 5432, user airflow"
    cause = QueryFailed("api/list_states", "web_analytics_api:1:1", 516, said)
    selection = TeamSelectionFailed("teams_table", str(cause))
    selection.__cause__ = cause
    for error, told in (
        (cause, "code 516: user or password is wrong"),
        (QueryFailed("api/list_states", "web_analytics_api:1:1", 4242, said), "code 4242"),
        (selection, "code 516"),
        (TeamSelectionFailed("project_settings", said), "project_settings failed"),
        (
            BadSetting("WEB_ANALYTICS_SOURCE", said, "a file"),
            "WEB_ANALYTICS_SOURCE is not acceptable; accepted: a file",
        ),
        (RuntimeError(said), "cannot be answered"),
    ):
        text = problems.public_text(error)
        assert told in text
        for word in ("internal", "10.0.0.7", "5432", "user airflow"):
            assert word not in text


def test_a_connection_that_does_not_exist_is_said(airflow_api, login, source, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_CLICKHOUSE_CONN_ID", "never_created")
    answer = airflow_api.get(TEAMS, headers=login("viewer"))
    assert answer.status_code == 503
