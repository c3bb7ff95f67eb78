"""Values of every type arrive as they are stored."""

import datetime as dt
import uuid

import pytest

UTC = dt.UTC
ID = uuid.UUID("0192f0c1-2345-7abc-8def-0123456789ab")
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CASES = [
    ("UInt8", [0, 255]),
    ("UInt16", [0, 65535]),
    ("UInt32", [0, 2**32 - 1]),
    ("UInt64", [0, 2**64 - 1]),
    ("Int8", [-128, 127]),
    ("Int16", [-(2**15)]),
    ("Int32", [-(2**31)]),
    ("Int64", [-(2**63), 2**63 - 1]),
    ("Float64", [0.0, -1.5, float("inf")]),
    ("Bool", [True, False]),
    ("UUID", [ID]),
    ("String", ["", "naïve 'quoted' \\ ; 日本", "x" * 100_000]),
    ("FixedString(4)", ["abcd"]),
    ("Date", [dt.date(2026, 1, 2)]),
    ("DateTime('UTC')", [MOMENT]),
    ("DateTime64(3, 'UTC')", [MOMENT.replace(microsecond=123000)]),
    ("DateTime64(6, 'UTC')", [MOMENT.replace(microsecond=123456)]),
    ("Nullable(Int64)", [None, 7]),
    ("Nullable(String)", [None, "", "a"]),
    ("Nullable(DateTime('UTC'))", [None, MOMENT]),
    ("LowCardinality(String)", ["a", "b", "a"]),
    ("LowCardinality(Nullable(String))", [None, "b"]),
    ("Array(String)", [[], ["a", "b"]]),
    ("Array(DateTime('UTC'))", [[], [MOMENT]]),
    ("Array(Tuple(String, UUID))", [[("/a", ID)], []]),
    ("Tuple(Int32, String)", [(1, "a")]),
    ("Tuple(a Int32, b DateTime('UTC'))", [(1, MOMENT)]),
    ("Map(String, UInt64)", [{}, {"a": 1, "b": 2}]),
    ("Enum8('new' = 1, 'old' = -2)", ["new", "old"]),
]


@pytest.mark.parametrize(("kind", "values"), CASES, ids=[kind for kind, _ in CASES])
def test_values_go_in_and_come_out_with_their_type(client, kind, values):
    client.execute(f"CREATE TABLE t (n UInt32, v {kind}) ENGINE = MergeTree ORDER BY n")
    assert client.execute("INSERT INTO t VALUES", list(enumerate(values))) == len(values)
    rows, columns = client.execute("SELECT v, n FROM t ORDER BY n", with_column_types=True)
    assert [row[0] for row in rows] == values
    assert [name for name, _ in columns] == ["v", "n"]
    stored = client.execute(
        "SELECT type FROM system.columns WHERE database = currentDatabase() AND name = 'v'"
    )
    assert columns[0][1] == stored[0][0]
    rows, empty = client.execute("SELECT v, n FROM t WHERE n > 1000", with_column_types=True)
    assert (rows, empty) == ([], columns)


def test_all_types_side_by_side_keep_the_zones(client):
    columns = ", ".join(f"c{i} {kind}" for i, (kind, _) in enumerate(CASES))
    row = tuple(values[-1] for _, values in CASES)
    client.execute(f"CREATE TABLE t ({columns}) ENGINE = MergeTree ORDER BY tuple()")
    client.execute("INSERT INTO t VALUES", [row] * 3)
    assert client.execute("SELECT * FROM t") == [row] * 3


def test_zones_other_than_utc_and_the_servers_zone(client):
    [[berlin, plain, zone]] = client.execute(
        "SELECT toDateTime(0, 'Europe/Berlin'), toDateTime(0), timezone()"
    )
    assert (berlin.utcoffset(), plain, zone) == (dt.timedelta(hours=1), dt.datetime(1970, 1, 1), "UTC")  # noqa: DTZ001


def test_aggregate_states_through_merge_functions(client):
    client.execute(
        "CREATE TABLE s (k UInt8, u AggregateFunction(uniq, UUID), n AggregateFunction(sum, UInt64)) "
        "ENGINE = AggregatingMergeTree ORDER BY k"
    )
    client.execute(
        "INSERT INTO s SELECT number % 2, uniqState(generateUUIDv4(number)), sumState(number) "
        "FROM numbers(100) GROUP BY 1"
    )
    assert client.execute("SELECT k, uniqMerge(u), sumMerge(n) FROM s GROUP BY k ORDER BY k") == [
        (0, 50, 2450),
        (1, 50, 2500),
    ]


def test_columns_of_one_name_and_of_statements_without_rows(client):
    assert client.execute("SELECT 1 AS a, 1 AS a", with_column_types=True)[1] == [
        ("a", "UInt8"),
        ("a", "UInt8"),
    ]
    assert client.execute("SELECT 1 AS a, 1 AS a WHERE 0", with_column_types=True)[1] == [
        ("a", "UInt8"),
        ("a", "UInt8"),
    ]
    assert client.execute("SHOW TABLES", with_column_types=True) == ([], [("name", "String")])
    assert client.execute("CREATE TABLE t (a Int8) ENGINE = Memory") == []
    assert client.execute("EXISTS t") == [(1,)]
    assert client.execute("DESCRIBE t")[0][:2] == ("a", "Int8")
    assert client.execute("SELECT * FROM t FORMAT JSON") == []


def test_columnar_results(client):
    assert client.execute("SELECT number, toString(number) FROM numbers(3)", columnar=True) == [
        (0, 1, 2),
        ("0", "1", "2"),
    ]
