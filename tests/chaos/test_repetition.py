"""Statements that are repeated after a transient failure, on a server that fails as it is told to."""

from __future__ import annotations

import pytest

from tests.chaos.servers import FaultyClickHouse
from tests.support import leftovers
from web_analytics.build import locks
from web_analytics.clickhouse import connection as package
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed

LIGHT = "schema/current_database"


@pytest.fixture(scope="module")
def faulty_server(tmp_path_factory):
    server = FaultyClickHouse(tmp_path_factory.mktemp("faulty"))
    with server:
        yield server


@pytest.fixture
def faulty(faulty_server, monkeypatch):
    """The package's connection to a server of which every statement is seen, with pauses that do not wait."""
    monkeypatch.setattr(package, "REPEAT_PAUSES_SECONDS", (0, 0, 0))
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", faulty_server.connection_uri)
    faulty_server.forget()
    with ClickHouse("clickhouse_default", origin="web_analytics_test") as connection:
        yield connection
    faulty_server.forget()
    for (table,) in faulty_server.admin().execute("SHOW TABLES"):
        faulty_server.admin().execute(f"DROP TABLE {table} SYNC")


@pytest.fixture
def fail(faulty, faulty_server):
    """``fail(action, times, statement, …)``: so many executions of the statement fail."""

    def plan(action: str, times: int, statement: str = LIGHT, when: str = "after", **fault):
        faulty_server.plan(
            count=True,
            faults=[
                {"id": "1", "action": action, "times": times, "statement": statement, "when": when, **fault}
            ],
        )

    return plan


@pytest.fixture
def executed(faulty_server):
    """The statements that have reached the server, in their order."""
    return lambda: [row["statement"] for row in faulty_server.seen()]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_repeatable_statement_is_repeated(faulty, fail, executed, when):
    fail("code", times=3, code=202, when=when)
    assert faulty.query(LIGHT)
    assert executed() == [LIGHT] * 4


def test_it_is_not_repeated_for_ever(faulty, fail, executed):
    fail("code", times=9, code=202)
    with pytest.raises(QueryFailed, match="code 202"):
        faulty.query(LIGHT)
    assert executed() == [LIGHT] * 4


def test_of_a_server_that_is_down_the_statement_is_named_that_was_wanted(monkeypatch, caplog):
    monkeypatch.setattr(package, "REPEAT_PAUSES_SECONDS", (0, 0))
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", "clickhouse://default:@127.0.0.1:9/default")
    told = f"^{LIGHT} failed in ClickHouse with code 210"
    with ClickHouse("clickhouse_default") as connection, pytest.raises(QueryFailed, match=told):
        connection.query(LIGHT)
    assert caplog.text.count("again in") == 2
    caplog.clear()
    with ClickHouse("clickhouse_default", pauses=()) as connection, pytest.raises(QueryFailed):
        connection.query(LIGHT)
    assert "again in" not in caplog.text


@pytest.mark.parametrize("code", [62, 394])
def test_other_failures_are_not_repeated(faulty, fail, executed, code):
    fail("code", times=1, code=code)
    with pytest.raises(QueryFailed):
        faulty.query(LIGHT)
    assert executed() == [LIGHT]


@pytest.mark.parametrize("action", ["refuse", "lose_answer"])
def test_after_a_broken_connection_the_query_is_ended_first(faulty, fail, executed, action):
    fail(action, times=1)
    assert faulty.query(LIGHT)
    assert executed() == [LIGHT, "clickhouse/kill_query", LIGHT]


def test_a_write_that_adds_rows_is_left_to_its_task(faulty, fail, executed):
    faulty.client.execute("CREATE TABLE target (period_bucket DateTime) ORDER BY tuple()")
    fail("code", times=1, code=252, statement="attach_partition")
    with pytest.raises(QueryFailed):
        faulty.run(
            "build/attach_partition",
            {"partition_id": "all"},
            {"table": "target", "source_table": "target"},
        )
    assert executed() == ["build/attach_partition"]


def test_a_lock_whose_creation_was_not_answered_is_the_owners(faulty, fail, days):
    owner = locks.Owner("dag", "run")
    fail("lose_answer", times=1, statement="build/create_lock")
    lock = locks.acquire(faulty, days(1)[0], owner)
    assert lock.owner == owner
    locks.release(faulty, lock)
    assert leftovers(faulty) == []


def test_a_unit_is_repeated_as_a_whole(faulty, fail, executed):
    faulty.client.execute("CREATE TABLE target (period_bucket DateTime) ORDER BY tuple()")
    faulty.client.execute("INSERT INTO target SELECT now()")
    fail("code", times=1, code=252, statement="attach_partition")

    made = []

    def assemble() -> str:
        made.append(f"clone_{len(made)}")
        faulty.client.execute(f"CREATE TABLE {made[-1]} AS target")
        faulty.run(
            "build/attach_partition", {"partition_id": "all"}, {"table": made[-1], "source_table": "target"}
        )
        return made[-1]

    assert faulty.repeat(assemble) == made[-1] == "clone_1"
    assert executed().count("build/attach_partition") == 2
    assert faulty.client.execute("SELECT count() FROM clone_1") == [(1,)]
