"""SELECT, settings, errors, progress, streaming."""

import socket

import pytest
from clickhouse_driver.errors import NetworkError, ServerException

from embedded_clickhouse.process import EmbeddedClickHouse


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        (60, "SELECT * FROM no_such_table"),
        (62, "SELEC 1"),
        (47, "SELECT no_such_column"),
        (57, "CREATE TABLE there (a Int8) ENGINE = Memory"),
        (46, "SELECT noSuchFunction(1)"),
        (395, "SELECT throwIf(number = 100000) FROM numbers(1000000)"),
        (81, "SELECT * FROM nowhere.t"),
        (62, "SELECT 1; SELECT 2"),
        (62, "INSERT INTO there VALUES (1); SELECT 2"),
        (62, "INSERT INTO there SELECT 1; DROP TABLE there"),
        (241, "SELECT groupArray(number) FROM numbers(10000000) SETTINGS max_memory_usage = 1000000"),
        (
            159,
            "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0.1",
        ),
        (115, "SELECT 1 SETTINGS no_such_setting = 1"),
        (43, "SELECT 1 + 'a'"),
        (36, "SELECT toDateTime(1, 'Nowhere')"),
    ],
)
def test_errors_have_clickhouses_code_and_leave_the_connection_unharmed(client, code, sql, code_of):
    client.execute("CREATE TABLE there (a Int8) ENGINE = Memory")
    assert code_of(client, sql) == code
    assert client.execute("SELECT count() FROM there") == [(0,)]


def test_error_messages_are_clickhouses(client):
    with pytest.raises(ServerException) as caught:
        client.execute("SELECT * FROM no_such_table")
    assert caught.value.message.startswith(
        "DB::Exception: Unknown table expression identifier 'no_such_table'"
    )
    assert caught.value.message.count("UNKNOWN_TABLE") == 1


def test_limits_as_settings_of_one_query(client, code_of):
    heavy = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1"
    assert code_of(client, heavy, settings={"max_execution_time": 0.1}) == 159
    assert (
        code_of(
            client,
            "SELECT groupArray(number) FROM numbers(10000000)",
            settings={"max_memory_usage": 1_000_000},
        )
        == 241
    )


def test_password_user_and_database_are_checked(tmp_path, connect):
    with EmbeddedClickHouse(tmp_path / "data", user="me:se:cret") as server:
        good = {"host": server.host, "port": server.port, "user": "me", "password": "se:cret"}
        for bad in ({"password": ""}, {"user": "default", "password": ""}, {"user": "you"}):
            with pytest.raises(ServerException) as caught:
                connect(**{**good, **bad}).execute("SELECT 1")
            assert caught.value.code == 516
        client = connect(**good, database="default")
        assert client.execute("SELECT user FROM system.processes") == [("me",)]
        # A dictionary signs in with them too.
        client.execute(
            "CREATE DICTIONARY ids (id UInt64, name String DEFAULT '') PRIMARY KEY id LAYOUT(HASHED()) LIFETIME(60) "
            "SOURCE(CLICKHOUSE(QUERY 'SELECT 7, toString(7)' USER 'me' PASSWORD 'se:cret'))"
        )
        assert client.execute("SELECT dictGet('ids', 'name', 7)") == [("7",)]
    with pytest.raises(ServerException) as caught:
        connect(database="nowhere").execute("SELECT 1")
    assert caught.value.code == 81


SETTINGS = "SELECT getSetting('max_threads'), getSetting('join_use_nulls'), getSetting('readonly')"


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"readonly": 1},
        {"readonly": 2},
        {"allow_ddl": 0},
        {"limit": 1},
        {"max_result_rows": 1, "result_overflow_mode": "break"},
    ],
)
def test_settings_hold_for_one_query_only(client, extra):
    before = client.execute(SETTINGS)
    settings = {"max_threads": 3, "join_use_nulls": 1, **extra}
    assert client.execute(SETTINGS, settings=settings) == [(3, True, extra.get("readonly", 0))]
    assert client.execute(SETTINGS) == before
    client.execute("CREATE TABLE t (a Int8) ENGINE = Memory")
    assert client.execute(SETTINGS, settings={"join_use_nulls": 1}) == [(before[0][0], True, 0)]
    assert client.execute(
        "SELECT currentDatabase(), count() FROM system.settings WHERE changed GROUP BY 1"
    ) == client.execute("SELECT currentDatabase(), count() FROM system.settings WHERE changed GROUP BY 1")


def test_readonly_refuses_writes(client, code_of):
    client.execute("CREATE TABLE t (a Int8) ENGINE = Memory")
    for level in (1, 2):
        assert code_of(client, "INSERT INTO t SELECT 1", settings={"readonly": level}) == 164
        assert code_of(client, "DROP TABLE t", settings={"readonly": level}) == 164
        assert code_of(client, "INSERT INTO t VALUES", [(1,)], settings={"readonly": level}) == 164
    assert client.execute("INSERT INTO t VALUES", [(1,)]) == 1


def test_settings_of_the_session_survive_those_of_a_query(client):
    client.execute("SET max_threads = 5")
    assert client.execute(SETTINGS, settings={"max_threads": 3})[0][0] == 3
    assert client.execute(SETTINGS)[0][0] == 5


def test_bad_and_unknown_settings(client, connect, code_of):
    before = client.execute(SETTINGS)
    assert code_of(client, "SELECT 1", settings={"join_use_nulls": 1, "max_threads": "many"}) in (6, 27, 72)
    assert client.execute(SETTINGS, settings={"no_such_setting": 1}) == before
    assert code_of(connect(settings_is_important=True), "SELECT 1", settings={"no_such_setting": 1}) == 115


def test_settings_change_the_types_of_the_answer(client):
    sql = "SELECT b.y AS y FROM (SELECT 1 AS x) AS a LEFT JOIN (SELECT 2 AS x, 3 AS y) AS b USING x"
    assert client.execute(sql, with_column_types=True) == ([(0,)], [("y", "UInt8")])
    assert client.execute(sql, with_column_types=True, settings={"join_use_nulls": 1}) == (
        [(None,)],
        [("y", "Nullable(UInt8)")],
    )


def test_a_session_that_its_client_made_readonly(client, code_of):
    client.execute("SET readonly = 1")
    assert client.execute("SELECT 1 AS a, toDateTime(0, 'UTC')", with_column_types=True)[1] == [
        ("a", "UInt8"),
        ("toDateTime(0, 'UTC')", "DateTime('UTC')"),
    ]
    for settings in ({"max_threads": 1}, {"readonly": 0}):
        assert code_of(client, "SELECT 1", settings=settings) == 164
    assert client.execute("SELECT getSetting('readonly')") == [(1,)]


def test_use_and_temporary_tables_last_as_long_as_the_connection(client, connect, db, code_of):
    client.execute("CREATE TEMPORARY TABLE mine (a Int8)")
    client.execute("USE system")
    assert client.execute("SELECT currentDatabase(), count() FROM mine") == [("system", 0)]
    other = connect()
    assert other.execute("SELECT currentDatabase()") == [(db,)]
    assert code_of(other, "SELECT * FROM mine") == 60


def test_scalar_subqueries_run_once(client):
    client.execute("SELECT (SELECT max(number) FROM numbers(1000000))", query_id="scalar")
    assert client.last_query.progress.rows <= 1_000_001


def test_parameters_are_substituted_by_the_client(client):
    assert client.execute("SELECT %(a)s, %(b)s", {"a": "it's; \\", "b": [1, 2]}) == [("it's; \\", [1, 2])]


def test_progress_and_profile(client):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    client.execute("INSERT INTO t SELECT number FROM numbers(200000)")
    assert client.last_query.progress.written_rows == 200_000
    client.execute("SELECT a FROM t WHERE a < 150000")
    progress, profile = client.last_query.progress, client.last_query.profile_info
    assert 150_000 <= progress.rows <= 200_000
    assert progress.bytes == 8 * progress.rows
    assert profile.rows == 150_000
    client.execute("SELECT count() FROM t WHERE a % 3 = 0")
    assert (client.last_query.progress.rows, client.last_query.profile_info.rows) == (200_000, 1)
    client.execute("INSERT INTO t VALUES", [(1,), (2,)])
    assert client.last_query.progress.written_rows == 2
    reports = client.execute_with_progress(
        "SELECT sum(sleepEachRow(0.01)) FROM numbers(50) SETTINGS max_block_size = 5"
    )
    assert len(list(reports)) > 2
    assert reports.get_result() == [(0,)]


def resident_megabytes(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def test_streaming_needs_little_memory(client, server):
    before, total, peak = resident_megabytes(server.pid), 0, 0
    for row in client.execute_iter(
        "SELECT number, toString(number) FROM numbers(3000000)", settings={"max_block_size": 65536}
    ):
        total += row[0]
        if row[0] % 500_000 == 0:
            peak = max(peak, resident_megabytes(server.pid))
    assert total == sum(range(3_000_000))
    assert peak < before + 150


def test_a_client_that_stops_reading_early(client, connect):
    for _, row in zip(range(5), client.execute_iter("SELECT number FROM numbers(50000000)"), strict=False):
        assert len(row) == 1
    client.disconnect()
    assert connect().execute("SELECT 1") == [(1,)]


def test_strangers_are_hung_up_on(server, client):
    with socket.create_connection((server.host, server.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert stranger.recv(100) == b""
    assert client.execute("SELECT 1") == [(1,)]


def test_nobody_listens_after_the_end(tmp_path, connect):
    with EmbeddedClickHouse(tmp_path / "data") as server:
        client = connect(host=server.host, port=server.port, database="default")
        assert client.execute("SELECT 1") == [(1,)]
    with pytest.raises((NetworkError, EOFError)):
        client.execute("SELECT 1")
