"""Queries that run: seen, killed, cancelled, abandoned, side by side."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_driver.errors import ServerException

ENDLESS = "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"
ENDLESS_INSERT = "INSERT INTO t SELECT number FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"


@pytest.fixture
def start(connect, wait_until, client):
    """Starts a query on a connection of its own; returns a function that waits for its error code."""
    threads = []

    def make(sql, query_id, **kwargs):
        runner, ended = connect(**kwargs), []

        def run():
            try:
                ended.append(runner.execute(sql, query_id=query_id))
            except ServerException as e:
                ended.append(e.code)

        thread = threading.Thread(target=run, daemon=True)
        threads.append(thread)
        thread.start()
        wait_until(lambda: processes(client, query_id) or ended)

        def result():
            thread.join(10)
            return ended[0]

        return result

    yield make
    client.execute("KILL QUERY WHERE startsWith(query_id, 'run-') SYNC")
    for thread in threads:
        thread.join(10)


def processes(client, query_id):
    return client.execute(
        "SELECT user, current_database, query FROM system.processes WHERE query_id = %(q)s", {"q": query_id}
    )


@pytest.mark.parametrize(
    "sql",
    [ENDLESS, ENDLESS_INSERT, "SELECT sleepEachRow(0.1) FROM numbers(1000) SETTINGS max_block_size = 5"],
)
@pytest.mark.parametrize(
    "where",
    [
        "query_id = 'run-1'",
        "query_id LIKE 'run-%'",
        "startsWith(query_id, 'run-')",
        "user = 'default' AND current_database = currentDatabase()",
    ],
)
def test_kill_from_another_connection(client, start, db, sql, where):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    result = start(sql, "run-1")
    assert processes(client, "run-1") == [("default", db, sql)]
    began = time.monotonic()
    rows, columns = client.execute(f"KILL QUERY WHERE {where} SYNC", with_column_types=True)
    assert rows == [("finished", "run-1", "default", sql)]
    assert [name for name, _ in columns] == ["kill_status", "query_id", "user", "query"]
    assert processes(client, "run-1") == []
    assert result() == 394
    assert time.monotonic() - began < 5


def test_kill_without_sync_and_of_nothing(client, start):
    assert client.execute("KILL QUERY WHERE query_id = 'run-0'") == []
    result = start(ENDLESS, "run-2")
    assert client.execute("kill query where query_id='run-2'")[0][:2] == ("waiting", "run-2")
    assert result() == 394


def test_kill_spares_the_others(client, start):
    one, two = start(ENDLESS, "run-1"), start(ENDLESS, "run-2")
    client.execute("KILL QUERY WHERE query_id = 'run-1' SYNC")
    assert one() == 394
    assert processes(client, "run-2")
    client.execute("KILL QUERY WHERE query_id = 'run-2' SYNC")
    assert two() == 394


def test_a_query_id_runs_once_at_a_time(client, start, code_of):
    start(ENDLESS, "run-1")
    assert code_of(client, "SELECT 1", query_id="run-1") == 216
    client.execute("KILL QUERY WHERE query_id = 'run-1' SYNC")
    for _ in range(20):
        assert client.execute("SELECT 1", query_id="run-1") == [(1,)]


def test_cancel(client, connect, wait_until):
    other = connect()
    rows = other.execute_iter("SELECT number FROM numbers(1000000000000)", query_id="run-1")
    assert next(rows) == (0,)
    other.cancel()
    assert other.execute("SELECT 1") == [(1,)]
    wait_until(lambda: not processes(client, "run-1"), 2)
    other.execute_with_progress(ENDLESS, query_id="run-2")
    wait_until(lambda: processes(client, "run-2"))
    other.cancel()
    assert other.execute("SELECT 1") == [(1,)]


@pytest.mark.parametrize("sql", [ENDLESS, ENDLESS_INSERT, "SELECT number FROM numbers(1000000000000)"])
def test_the_query_of_a_vanished_client_ends(client, connect, wait_until, sql):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    other = connect()
    other.execute_with_progress(sql, query_id="run-1")  # only sends it
    wait_until(lambda: processes(client, "run-1"))
    other.disconnect()
    wait_until(lambda: not processes(client, "run-1"), 2)


def test_fifty_connections_at_once(connect):
    barrier = threading.Barrier(50)

    def work(i):
        own = connect()
        barrier.wait(30)
        return [
            own.execute(
                "SELECT %(i)s, count() FROM numbers(100000) WHERE number %% 7 = 0",
                {"i": i},
                settings={"max_threads": 1 + i % 2},
            )
            for _ in range(3)
        ]

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(work, range(50))) == [[[(i, 14286)]] * 3 for i in range(50)]


def test_a_select_answers_while_a_long_insert_runs(client, start):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    start(ENDLESS_INSERT, "run-1")
    began = time.monotonic()
    assert client.execute("SELECT 1") == [(1,)]
    client.execute("INSERT INTO t VALUES", [(1,)])
    assert client.execute("SELECT count() FROM t")[0][0] >= 1
    assert time.monotonic() - began < 3


def test_a_connection_lives_on_after_its_query_was_killed(client, connect, wait_until, code_of):
    with ThreadPoolExecutor(1) as pool:
        code = pool.submit(code_of, connect(), ENDLESS, query_id="run-1", settings={"max_threads": 1})
        wait_until(lambda: processes(client, "run-1"))
        client.execute("KILL QUERY WHERE query_id = 'run-1' SYNC")
        assert code.result(10) == 394
