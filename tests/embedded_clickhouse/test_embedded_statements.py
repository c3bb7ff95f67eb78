"""The little that the server reads out of a statement's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_clickhouse.errors import EngineError
from embedded_clickhouse.statements import client_insert, kill_query, mask, prepare, quote


def read(function, sql):
    return function(*prepare(sql, "the_view"))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO t VALUES", ("INSERT INTO t", "t", None)),
        (
            "insert into TABLE db.`a t` (x, `y,z`) format Native;",
            ("insert into TABLE db.`a t` (x, `y,z`)", "db.`a t`", ["x", "y,z"]),
        ),
        ("INSERT INTO t (a) SETTINGS x = 1 VALUES", ("INSERT INTO t (a) SETTINGS x = 1", "t", ["a"])),
        ("INSERT INTO t", ("INSERT INTO t", "t", None)),
        ("INSERT INTO t (a,b)", ("INSERT INTO t (a,b)", "t", ["a", "b"])),
        ("INSERT INTO t VALUES (1)", None),
        ("INSERT INTO t SELECT 1", None),
        ("INSERT INTO t SETTINGS a = 1 VALUES (1)", None),
        ("INSERT INTO t SETTINGS a = 1 SELECT 1 FORMAT x", None),
        ("INSERT INTO t FORMAT CSV 1", None),
        ("INSERT INTO t (a) SELECT ' VALUES'", None),
        ("SELECT 'INSERT INTO t VALUES'", None),
        ("INSERT INTO t SELECT a FROM values", None),
        ("INSERT INTO FUNCTION null('a Int8') VALUES", None),
    ],
)
def test_which_inserts_take_rows_from_the_client(sql, expected):
    assert read(client_insert, sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("KILL QUERY WHERE query_id = 'a SYNC' ", (" query_id = 'a SYNC'", "ASYNC")),
        ("kill query where user='x' sync;", (" user='x' ", "sync")),
        ("KILL QUERY WHERE 1 TEST", (" 1 ", "TEST")),
        ("KILL MUTATION WHERE 1", None),
        ("SELECT 1", None),
    ],
)
def test_kill(sql, expected):
    assert read(kill_query, sql) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 ; ", "SELECT 1"),
        ("SELECT ';' -- ;", "SELECT ';'"),
        ("SELECT 1 FORMAT JSON", "SELECT 1 "),
        ("SELECT 'FORMAT x'", "SELECT 'FORMAT x'"),
        ("SELECT 1 FORMAT TSV SETTINGS a = 1", "SELECT 1  SETTINGS a = 1"),
        ("SELECT * FROM system.processes, `system.processes`", "SELECT * FROM the_view, `system.processes`"),
        (
            'INSERT INTO t FORMAT JSONEachRow {"a": 1};{"a": 2}',
            'INSERT INTO t FORMAT JSONEachRow {"a": 1};{"a": 2}',
        ),
        ("CREATE TABLE t (format String) ENGINE = Memory", "CREATE TABLE t (format String) ENGINE = Memory"),
    ],
)
def test_what_the_engine_gets(sql, expected):
    assert prepare(sql, "the_view")[0] == expected


@pytest.mark.parametrize(
    "sql", ["SELECT 1; SELECT 2", "SELECT ';'; SELECT 2", "/* ; */ SET a = 1;;SET b = 2"]
)
def test_one_statement_at_a_time(sql):
    with pytest.raises(EngineError) as caught:
        prepare(sql, "the_view")
    assert caught.value.code == 62


@given(st.text(alphabet="ab'\\;-/*`\"\n$ "))
def test_a_literal_hides_what_is_in_it(value):
    sql = f"SELECT {quote(value)} , 1"
    masked = mask(sql)
    assert len(masked) == len(sql)
    assert ";" not in masked
    assert masked.endswith("' , 1")


@given(st.text(alphabet="ab'\\;-/*`\"\n$# {}()", max_size=40))
def test_mask_keeps_every_position(sql):
    masked = mask(sql)
    assert len(masked) == len(sql)
    assert all(m == s or m in "_ " for m, s in zip(masked, sql, strict=True))


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("Code: 60. DB::Exception: No table. (UNKNOWN_TABLE)", 60, "No table. (UNKNOWN_TABLE)"),
        (
            "Streaming query failed: Code: 36. DB::Exception: Code: 36. DB::Exception: x. (BAD) (version 1). (BAD)",
            36,
            "x. (BAD)",
        ),
        ("something else", 1002, "something else"),
    ],
)
def test_the_engines_errors(text, code, message):
    error = EngineError.parse(text)
    assert (error.code, str(error)) == (code, message)
