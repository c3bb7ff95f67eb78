"""The unmodified airflow-clickhouse-plugin works on it as on a server."""

import pytest
from clickhouse_driver.errors import ServerException

hooks = pytest.importorskip("airflow_clickhouse_plugin.hooks.clickhouse")
operators = pytest.importorskip("airflow_clickhouse_plugin.operators.clickhouse")


@pytest.fixture(autouse=True)
def connection(monkeypatch, server, db):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri(db))


def test_the_hook_runs_statements_and_returns_the_last_result(db):
    hook = hooks.ClickHouseHook()
    assert hook.execute(
        ["CREATE TABLE t (a UInt8, b String) ENGINE = MergeTree ORDER BY a", "SELECT currentDatabase()"]
    ) == [(db,)]
    assert hook.execute("INSERT INTO t VALUES", [(1, "x"), (2, "y")]) == 2
    assert hook.execute("SELECT * FROM t WHERE a = %(a)s", {"a": 2}, with_column_types=True) == (
        [(2, "y")],
        [("a", "UInt8"), ("b", "String")],
    )


def test_the_hook_passes_settings_query_id_and_external_tables():
    hook = hooks.ClickHouseHook()
    assert hook.execute(
        "SELECT getSetting('max_threads'), (SELECT query_id FROM system.processes), sum(n) FROM e",
        settings={"max_threads": 1},
        query_id="from-the-hook",
        external_tables=[{"name": "e", "structure": [("n", "Int32")], "data": [{"n": 1}, {"n": 2}]}],
    ) == [(1, "from-the-hook", 3)]
    with hook.get_conn() as client:
        assert client.execute("SELECT 1", settings={"readonly": 1}) == [(1,)]
        assert client.execute("CREATE TABLE t (a UInt8) ENGINE = Memory") == []


def test_errors_keep_their_code_through_the_hook(server, monkeypatch):
    with pytest.raises(ServerException) as caught:
        hooks.ClickHouseHook().execute("SELECT * FROM nowhere")
    assert caught.value.code == 60
    monkeypatch.setenv(
        "AIRFLOW_CONN_CLICKHOUSE_DEFAULT", f"clickhouse://default:wrong@{server.host}:{server.port}/x"
    )
    with pytest.raises(ServerException) as caught:
        hooks.ClickHouseHook().execute("SELECT 1")
    assert caught.value.code == 516


def test_the_operator(db):
    operator = operators.ClickHouseOperator(
        task_id="one",
        sql=(
            "CREATE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT number AS a FROM numbers(3)",
            "SELECT sum(a) FROM t",
        ),
        query_id="by-operator",
        settings={"max_threads": 1},
    )
    assert operator.execute({}) == [(3,)]
