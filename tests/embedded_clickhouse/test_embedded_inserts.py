"""Rows from the client, inline values, INSERT ... SELECT, external tables."""

import datetime as dt

import pytest


@pytest.fixture
def table(client):
    client.execute(
        "CREATE TABLE t (a Int32, `b c` String DEFAULT 'none', d DateTime('UTC') DEFAULT 0, "
        "m Int32 MATERIALIZED a * 2) ENGINE = MergeTree ORDER BY a"
    )
    return "t"


def rows(client):
    return client.execute("SELECT a, `b c` FROM t ORDER BY a")


def test_tuples_dicts_and_columns(client, table):
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert client.execute("INSERT INTO t VALUES", [(1, "x", moment)]) == 1
    assert (
        client.execute("INSERT INTO t (a, `b c`) VALUES", [{"a": 2, "b c": "y"}, {"a": 3, "b c": "z"}]) == 2
    )
    assert client.execute("INSERT INTO t (`b c`, a) VALUES", [["v", "w"], [4, 5]], columnar=True) == 2
    assert client.execute("INSERT INTO t (a) FORMAT Native", [(6,)]) == 1
    assert client.execute("insert into t (a)", [(7,)]) == 1
    assert (
        client.execute(
            "/* note; */ INSERT INTO t (a) -- VALUES (0)\n SETTINGS max_threads = 1 VALUES", [(8,)]
        )
        == 1
    )
    assert rows(client) == [
        (1, "x"),
        (2, "y"),
        (3, "z"),
        (4, "v"),
        (5, "w"),
        (6, "none"),
        (7, "none"),
        (8, "none"),
    ]
    assert client.execute("SELECT d, m FROM t WHERE a = 1") == [(moment, 2)]


def test_no_rows_and_generators(client, table):
    assert client.execute("INSERT INTO t VALUES", []) == 0
    assert client.execute("INSERT INTO t (a) VALUES", ((i,) for i in range(10))) == 10
    assert len(rows(client)) == 10


def test_many_blocks(client, table):
    count = client.execute(
        "INSERT INTO t (a) VALUES", ((i,) for i in range(100_000)), settings={"insert_block_size": 10_000}
    )
    assert count == 100_000
    assert client.execute("SELECT count(), sum(a) FROM t") == [(100_000, sum(range(100_000)))]


def test_inline_values(client, table):
    client.execute("INSERT INTO t (a, `b c`) VALUES (1, 'one; (two)'), (2, 'it''s')")
    client.execute("INSERT INTO t (a) FORMAT CSV 3\n")
    assert rows(client) == [(1, "one; (two)"), (2, "it's"), (3, "none")]


def test_refused_inserts_leave_the_connection_unharmed(client, table, code_of):
    for sql, data, code in [
        ("INSERT INTO nowhere VALUES", [(1,)], 60),
        ("INSERT INTO t (z) VALUES", [(1,)], 16),
        ("INSERT INTO t (m) VALUES", [(1,)], 44),
    ]:
        assert code_of(client, sql, data) == code
    client.execute("CREATE TABLE c (a Int32, CONSTRAINT positive CHECK a > 0) ENGINE = Memory")
    assert (
        code_of(client, "INSERT INTO c VALUES", [(-1,)] * 50_000, settings={"insert_block_size": 1000}) == 469
    )
    assert client.execute("INSERT INTO c VALUES", [(1,)]) == 1


def test_insert_select(client, table):
    client.execute("INSERT INTO t (a) SELECT number FROM numbers(1000)")
    client.execute("INSERT INTO t (a) WITH 5 AS x SELECT x")
    client.execute("WITH x AS (SELECT 6 AS a) INSERT INTO t (a) SELECT a FROM x")
    client.execute("INSERT INTO t (a) SETTINGS max_threads = 1 SELECT 7")
    assert client.execute("SELECT count() FROM t") == [(1003,)]


EXTERNAL = [
    {
        "name": "teams",
        "structure": [("id", "Int32"), ("name", "String")],
        "data": [{"id": 1, "name": "one"}, {"id": 3, "name": "three"}],
    },
    {"name": "days", "structure": [("day", "Date")], "data": [{"day": dt.date(2026, 1, 1)}]},
]


def test_external_tables(client, table, code_of):
    assert client.execute(
        "SELECT number, name, day FROM numbers(5) AS n JOIN teams ON number = id CROSS JOIN days "
        "ORDER BY number",
        external_tables=EXTERNAL,
    ) == [(1, "one", dt.date(2026, 1, 1)), (3, "three", dt.date(2026, 1, 1))]
    client.execute("INSERT INTO t (a, `b c`) SELECT id, name FROM teams", external_tables=EXTERNAL)
    assert rows(client) == [(1, "one"), (3, "three")]
    assert code_of(client, "SELECT * FROM teams") == 60


@pytest.mark.parametrize("settings", [{}, {"readonly": 1}, {"readonly": 2}])
def test_external_tables_with_settings_and_errors(client, settings, code_of):
    assert client.execute("SELECT count() FROM teams", external_tables=EXTERNAL, settings=settings) == [(2,)]
    assert code_of(client, "SELECT nope FROM teams", external_tables=EXTERNAL, settings=settings) == 47
    empty = [{**EXTERNAL[0], "data": []}]
    assert client.execute("SELECT count() FROM teams", external_tables=empty, settings=settings) == [(0,)]
    twice = [EXTERNAL[0], {**EXTERNAL[0], "structure": [("other", "String")], "data": [{"other": "x"}]}]
    assert code_of(client, "SELECT count() FROM teams", external_tables=twice, settings=settings) == 57
    assert client.execute("SELECT 1") == [(1,)]
