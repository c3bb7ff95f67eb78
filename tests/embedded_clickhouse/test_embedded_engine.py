"""What the product does with tables, partitions, dictionaries and logs."""

import pytest

DELETE = "lightweight_deletes_sync = 2, mutations_sync = 2"


@pytest.fixture
def tables(client):
    for name in ("target", "fresh", "clone"):
        client.execute(
            f"CREATE TABLE {name} (day Date, team UInt64, n AggregateFunction(sum, UInt64)) "
            "ENGINE = AggregatingMergeTree PARTITION BY toYYYYMMDD(day) ORDER BY team"
        )


def fill(client, table, day, team, n):
    client.execute(
        f"INSERT INTO {table} SELECT toDate(%(day)s), %(team)s, sumState(toUInt64(%(n)s))",
        {"day": day, "team": team, "n": n},
    )


def totals(client, table):
    return client.execute(f"SELECT toString(day), team, sumMerge(n) FROM {table} GROUP BY 1, 2 ORDER BY 1, 2")


def test_partitions_are_attached_replaced_and_dropped(client, tables, code_of):
    fill(client, "target", "2026-01-01", 1, 10)
    fill(client, "target", "2026-01-01", 2, 20)
    fill(client, "target", "2026-01-02", 1, 5)
    fill(client, "fresh", "2026-01-01", 1, 11)
    client.execute("ALTER TABLE clone ATTACH PARTITION ID '20260101' FROM target")
    client.execute(f"DELETE FROM clone WHERE team = 1 SETTINGS {DELETE}")
    assert totals(client, "clone") == [("2026-01-01", 2, 20)]
    client.execute("ALTER TABLE clone ATTACH PARTITION ID '20260101' FROM fresh")
    client.execute("ALTER TABLE target REPLACE PARTITION ID '20260101' FROM clone")
    after = [("2026-01-01", 1, 11), ("2026-01-01", 2, 20), ("2026-01-02", 1, 5)]
    assert totals(client, "target") == after
    client.execute("OPTIMIZE TABLE target FINAL")
    assert totals(client, "target") == after
    client.execute("ALTER TABLE target DROP PARTITION ID '20260101'")
    assert totals(client, "target") == after[2:]
    assert code_of(client, "ALTER TABLE target REPLACE PARTITION ID '20270101' FROM clone") == 36


def test_delete_with_settings_of_the_packet(client, tables):
    fill(client, "target", "2026-01-01", 1, 10)
    client.execute(
        "DELETE FROM target WHERE team = 1", settings={"lightweight_deletes_sync": 2, "mutations_sync": 2}
    )
    assert totals(client, "target") == []
    assert client.execute(
        "SELECT count() FROM system.mutations WHERE NOT is_done AND database = currentDatabase()"
    ) == [(0,)]


def test_dictionary_with_clickhouse_source(client, db):
    client.execute("CREATE TABLE teams (team UInt64, name String) ENGINE = MergeTree ORDER BY team")
    client.execute("INSERT INTO teams VALUES", [(1, "one")])
    client.execute(
        "CREATE DICTIONARY teams_dict (team UInt64, name String DEFAULT '') PRIMARY KEY team "
        f"SOURCE(CLICKHOUSE(TABLE 'teams' DB '{db}')) LAYOUT(HASHED()) LIFETIME(0)"
    )
    get = f"SELECT dictGet('{db}.teams_dict', 'name', toUInt64(%(id)s)), dictHas('{db}.teams_dict', toUInt64(%(id)s))"
    assert client.execute(get, {"id": 1}) == [("one", 1)]
    client.execute("INSERT INTO teams VALUES", [(2, "two")])
    client.execute(f"SYSTEM RELOAD DICTIONARY {db}.teams_dict")
    assert client.execute(get, {"id": 2}) == [("two", 1)]
    assert client.execute("SELECT * FROM teams_dict ORDER BY team") == [(1, "one"), (2, "two")]


def test_comments(client, code_of):
    client.execute("CREATE TABLE t (a Int8) ENGINE = Memory COMMENT 'first'")
    read = "SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = 't'"
    assert client.execute(read) == [("first",)]
    client.execute("ALTER TABLE t MODIFY COMMENT %(c)s", {"c": '{"run": "it\'s; mine"}'})
    assert client.execute(read) == [('{"run": "it\'s; mine"}',)]
    assert code_of(client, "CREATE TABLE t (a Int8) ENGINE = Memory") == 57


def test_explain_and_format(client, db):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    client.execute("INSERT INTO t SELECT number FROM numbers(100000)")
    rows, columns = client.execute("EXPLAIN ESTIMATE SELECT a FROM t WHERE a < 10", with_column_types=True)
    assert [name for name, _ in columns] == ["database", "table", "parts", "rows", "marks"]
    assert rows == [(db, "t", 1, 8192, 1)]
    assert client.execute("EXPLAIN SELECT 1")
    assert client.execute("EXPLAIN ESTIMATE SELECT 1", with_column_types=True)[1] == columns
    assert client.execute("SELECT formatQuery('select  1'), formatQueryOrNull('selec')") == [
        ("SELECT 1", None)
    ]


def test_views_exchange_and_check(client):
    client.execute("CREATE TABLE a (x Int8) ENGINE = MergeTree ORDER BY x")
    client.execute("CREATE TABLE b AS a")
    client.execute("CREATE MATERIALIZED VIEW v TO b AS SELECT x FROM a")
    client.execute("INSERT INTO a VALUES", [(1,)])
    client.execute("EXCHANGE TABLES a AND b")
    assert client.execute("SELECT * FROM a") == [(1,)]
    assert client.execute("CHECK TABLE a SETTINGS check_query_single_value_result = 1") == [(1,)]


def test_query_log_has_the_clients_ids_and_comments(client, db, code_of):
    client.execute("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    client.execute(
        "INSERT INTO t SELECT number FROM numbers(1000)",
        query_id=f"log-{db}",
        settings={"log_comment": "why"},
    )
    assert code_of(client, "SELECT throwIf(number = 10) FROM numbers(20)", query_id=f"bad-{db}") == 395
    client.execute("INSERT INTO t VALUES", [(1,)], query_id=f"rows-{db}")
    client.execute("SYSTEM FLUSH LOGS")
    log = (
        "SELECT query, user, current_database, log_comment, exception_code, written_rows, memory_usage > 0 "
        "FROM system.query_log WHERE query_id = %(id)s AND type != 'QueryStart'"
    )
    assert client.execute(log, {"id": f"log-{db}"}) == [
        ("INSERT INTO t SELECT number FROM numbers(1000)", "default", db, "why", 0, 1000, 1)
    ]
    assert [row[3:5] for row in client.execute(log, {"id": f"bad-{db}"})] == [("", 395)]
    assert [row[5] for row in client.execute(log, {"id": f"rows-{db}"})] == [1]
    assert client.execute(
        "SELECT count() FROM system.part_log WHERE database = currentDatabase() AND event_type = 'NewPart'"
    ) == [(2,)]
    assert client.execute(
        "SELECT count() FROM system.query_log WHERE mapContains(Settings, 'stream_like_engine_insert_queue')"
    ) == [(0,)]
