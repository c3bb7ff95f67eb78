"""What the package takes for granted of a ClickHouse server and its driver.

`make test-contract` runs this, and every test that needs nothing but a ClickHouse, on the server of
CLICKHOUSE_TEST_URL; without that variable on the embedded engine.
"""

from __future__ import annotations

import os
import threading
import time
import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import NetworkError, ServerException

from tests.servers.__main__ import LISTENER
from tests.servers.given import GivenServer
from tests.servers.listener import Listener
from tests.support import Source, differences_from_oracle, open_client
from web_analytics import rights
from web_analytics.clickhouse.connection import CORRECTNESS_SETTINGS, ClickHouse, external_table
from web_analytics.errors import QueryFailed


@pytest.fixture
def client(clickhouse):
    return clickhouse.client


@pytest.fixture
def connect(clickhouse_server, client):
    """Further connections to the test's database."""
    database = client.execute("SELECT currentDatabase()")[0][0]
    opened = []

    def open_one(**changes) -> Client:
        opened.append(open_client(clickhouse_server, **{"database": database, **changes}))
        return opened[-1]

    yield open_one
    for each in opened:
        each.disconnect()


def code_of(client: Client, statement: str, **arguments) -> int:
    with pytest.raises(ServerException) as caught:
        client.execute(statement, **arguments)
    return caught.value.code


@pytest.mark.parametrize("name", CORRECTNESS_SETTINGS)
def test_the_server_knows_the_settings_that_are_always_sent(client, name):
    # Unknown ones would be ignored without a word.
    assert client.execute("SELECT count() FROM system.settings WHERE name = %(name)s", {"name": name}) == [
        (1,)
    ]
    client.execute("SELECT 1", settings={name: CORRECTNESS_SETTINGS[name]})


def test_errors_have_the_codes_that_retries_depend_on(client, connect):
    assert code_of(client, "SELECT * FROM nowhere") == 60
    assert code_of(client, "SELECT nothing") == 47
    assert code_of(client, "SELEKT 1") == 62
    assert code_of(client, "SELECT 1 SETTINGS no_such_setting = 1") == 115
    limits = {"max_memory_usage": 1_000_000}
    assert code_of(client, "SELECT groupArray(number) FROM numbers(10000000)", settings=limits) == 241
    forever = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))"
    assert code_of(client, forever, settings={"max_execution_time": 1}) == 159
    client.execute("CREATE TABLE once (a UInt8) ENGINE = MergeTree ORDER BY a")
    assert code_of(client, "CREATE TABLE once (a UInt8) ENGINE = MergeTree ORDER BY a") == 57
    with pytest.raises(NetworkError) as unreachable:
        connect(host="127.0.0.1", port=1, connect_timeout=2).execute("SELECT 1")
    assert unreachable.value.code == 210


@pytest.fixture
def that_may_end(clickhouse_server, tmp_path):
    """The server, or a listener of this test's own: its process ends with a refused login, a fault of that build."""
    if LISTENER not in os.environ:
        yield clickhouse_server
        return
    with Listener(tmp_path / "listener", Path(os.environ[LISTENER])) as own:
        over_http = clickhouse_server.speaks_http
        scheme, port = ("http", own.http_port) if over_http else ("clickhouse", own.port)
        yield GivenServer(f"{scheme}://{own.user}:@{own.host}:{port}/default")


@pytest.mark.parametrize("wrong", [{"password": "certainly not"}, {"database": "nowhere"}])
def test_a_refused_login_has_its_code(that_may_end, wrong):
    client = open_client(that_may_end, **wrong)
    # Over HTTP ClickHouse has a code of its own for its user default, of whom a browser then asks the password.
    asks_again = getattr(that_may_end, "speaks_http", False) and that_may_end.user == "default"
    refused = 194 if asks_again else 516
    assert code_of(client, "SELECT 1") == (refused if "password" in wrong else 81)
    client.disconnect()


def test_a_query_is_seen_and_ended_by_its_id_from_another_connection(client, connect):
    other, query_id, failures = connect(), f"contract:{uuid.uuid4().hex}", []
    other.execute("SELECT 1")

    def endless() -> None:
        try:
            client.execute(
                "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(cityHash64(number))",
                query_id=query_id,
            )
        except ServerException as error:
            failures.append(error.code)

    running = threading.Thread(target=endless)
    running.start()
    seen, deadline = "SELECT count() FROM system.processes WHERE query_id = %(id)s", time.monotonic() + 20
    while not other.execute(seen, {"id": query_id})[0][0]:
        assert time.monotonic() < deadline
    assert code_of(connect(), "SELECT 1", query_id=query_id) == 216
    other.execute("KILL QUERY WHERE query_id = %(id)s SYNC", {"id": query_id})
    running.join(20)
    assert failures == [394]


def test_values_of_every_type_in_use_come_back_as_they_were_sent(client):
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    row = (
        date(2026, 1, 2), moment, 2**63, -(2**62), True, "ünï \\ ' % \x00", "low", None, uuid.UUID(int=7), 0.25,
        ["a", "b"],
    )  # fmt: skip
    client.execute(
        "CREATE TABLE types (d Date, t DateTime64(6, 'UTC'), u UInt64, i Int64, b Bool, s String, "
        "l LowCardinality(String), n Nullable(Date), id UUID, f Float64, a Array(String)) ENGINE = MergeTree ORDER BY d"
    )
    client.execute("INSERT INTO types VALUES", [row])
    assert client.execute("SELECT * FROM types") == [row]
    found = client.execute("SELECT s FROM types WHERE s = %(text)s", {"text": row[5]})
    assert found == [(row[5],)]


def test_a_set_of_any_size_travels_with_its_query(clickhouse):
    teams = external_table("planned_teams", "team_id", "Int64", range(100_000))
    rows = clickhouse.client.execute(
        "SELECT count(), sum(team_id) FROM planned_teams", external_tables=[teams]
    )
    assert rows == [(100_000, 99_999 * 50_000)]


def test_a_day_is_replaced_from_a_clone_whose_rows_were_deleted(client):
    """What publishing does: attach, delete synchronously, attach, replace; nothing of the deleted rows comes back."""
    for table in ("target", "clone", "fresh"):
        client.execute(
            f"CREATE TABLE {table} (day Date, team UInt64, n AggregateFunction(sum, UInt64)) "
            "ENGINE = AggregatingMergeTree PARTITION BY toYYYYMMDD(day) ORDER BY (team)"
        )
    fill = (
        "INSERT INTO {} SELECT '2026-01-02', number, sumState(toUInt64({})) FROM numbers(10) GROUP BY number"
    )
    client.execute(fill.format("target", 1))
    client.execute(fill.format("fresh", 5) + " HAVING number < 5")
    for _ in range(2):
        client.execute("TRUNCATE TABLE clone SYNC")
        client.execute("ALTER TABLE clone ATTACH PARTITION ID '20260102' FROM target")
        client.execute(
            "DELETE FROM clone WHERE team < 5 SETTINGS lightweight_deletes_sync = 2, mutations_sync = 2"
        )
        client.execute("ALTER TABLE clone ATTACH PARTITION ID '20260102' FROM fresh")
        client.execute("ALTER TABLE target REPLACE PARTITION ID '20260102' FROM clone")
        assert client.execute("SELECT count(), sumMerge(n) FROM target") == [(10, 5 * 5 + 5 * 1)]
    client.execute("OPTIMIZE TABLE target FINAL")
    assert client.execute("SELECT count(), sumMerge(n) FROM target") == [(10, 30)]


def test_a_broken_conversation_does_not_reach_the_next_statement(clickhouse, connect):
    with pytest.raises(QueryFailed):
        clickhouse.query(
            "build/read_lock_renewal", {"token": "x"}, {"lock_table": "web_analytics_lock_20260101"}
        )
    assert clickhouse.query("schema/current_database")


@pytest.fixture
def real_server(is_embedded):
    if is_embedded or LISTENER in os.environ:
        pytest.skip(
            "needs a server that keeps users: set CLICKHOUSE_TEST_URL; tests/rights has users of a file"
        )


def test_the_roles_are_enough_for_a_backfill(
    real_server, clickhouse, clickhouse_server, connect, run_dag, days, monkeypatch
):
    """The grants as an administrator applies them, each role with a user of its own."""
    from demo import sample_data

    database = clickhouse.client.execute("SELECT currentDatabase()")[0][0]
    sample_data.create_source(clickhouse)
    for statement in rights.statements(database, database):
        clickhouse.client.execute(statement)
    try:
        for role in rights.ROLES:
            clickhouse.client.execute(
                f"CREATE USER {database}_{role} IDENTIFIED BY 'contract' DEFAULT ROLE {database}_{role}"
            )

        def act_as(role: str) -> None:
            monkeypatch.setenv(
                "AIRFLOW_CONN_CLICKHOUSE_DEFAULT",
                f"clickhouse://{database}_{role}:contract@{clickhouse_server.host}:{clickhouse_server.port}/{database}",
            )

        act_as("setup")
        assert run_dag("web_analytics_setup").state == "success"
        source = Source(clickhouse)
        source.enable(1, 2)
        source.visits([1, 2], days(3))
        act_as("writer")
        assert run_dag("web_analytics_backfill", {"days_back": 6}).state == "success"
        assert differences_from_oracle(clickhouse, days(3), [1, 2]) == []
        assert code_of(connect(user=f"{database}_writer", password="contract"), "DROP TABLE events") == 497
        act_as("reader")
        with ClickHouse("clickhouse_default") as reader:
            assert differences_from_oracle(reader, days(3), [1, 2]) == []
            assert code_of(reader.client, "TRUNCATE TABLE web_pre_aggregated_stats") == 497
    finally:
        for role in rights.ROLES:
            clickhouse.client.execute(f"DROP USER IF EXISTS {database}_{role}")
            clickhouse.client.execute(f"DROP ROLE IF EXISTS {database}_{role}")
