"""The teams dictionary signs in with a password that the connection had when it was created."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_driver.errors import ServerException

from tests.support import open_client
from web_analytics import schema
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed

IS_ENABLED = "SELECT dictHas(web_pre_aggregated_teams_dict, toUInt64(7))"
READERS = 4
UNKNOWN_DICTIONARY = 36


def test_setup_makes_the_dictionary_anew_after_a_rotation(tmp_path, run_dag, monkeypatch):
    from demo import sample_data
    from embedded_clickhouse.process import EmbeddedClickHouse

    def serve(password):
        return EmbeddedClickHouse(tmp_path / "data", user=f"writer:{password}")

    def connected(server):
        monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri())
        return ClickHouse("clickhouse_default")

    with serve("before") as server, connected(server) as clickhouse:
        sample_data.create_source(clickhouse)
        assert run_dag("web_analytics_setup").state == "success"
        clickhouse.client.execute(
            "INSERT INTO web_pre_aggregated_teams (team_id, enabled) VALUES", [(7, True)]
        )
        schema.reload_teams_dictionary(clickhouse)
        assert clickhouse.client.execute(IS_ENABLED) == [(1,)]
    with serve("after") as server, connected(server) as clickhouse:
        with pytest.raises(ServerException, match="uthentication"):
            clickhouse.client.execute(IS_ENABLED)
        assert run_dag("web_analytics_setup").state == "success"
        assert clickhouse.client.execute(IS_ENABLED) == [(1,)]


def test_readers_find_the_dictionary_while_it_is_made_anew(source, clickhouse_server):
    """One error in all is let pass: who has found the old one and asks after it was dropped. By CREATE OR REPLACE one
    query of twenty failed.
    """
    source.enable(7)
    schema.reload_teams_dictionary(source.clickhouse)
    user, password = clickhouse_server.user, clickhouse_server.password
    [(database,)] = source.clickhouse.client.execute("SELECT currentDatabase()")
    stop, answers = threading.Event(), []

    def read():
        reader = open_client(clickhouse_server, database=database)
        while not stop.is_set():
            try:
                answers.append(reader.execute(IS_ENABLED))
            except ServerException as error:
                answers.append(error.code)
        reader.disconnect()

    with ThreadPoolExecutor(READERS) as pool:
        reading = [pool.submit(read) for _ in range(READERS)]
        try:
            for _ in range(60):
                schema.create_teams_dictionary(source.clickhouse, user, password)
        finally:
            stop.set()
        for reader in reading:
            reader.result()
    assert answers.count([(1,)]) > 60
    others = [answer for answer in answers if answer != [(1,)]]
    assert others in ([], [UNKNOWN_DICTIONARY])


def test_a_dictionary_that_cannot_be_loaded_does_not_replace_the_old_one(source, clickhouse_server):
    source.enable(7)
    schema.reload_teams_dictionary(source.clickhouse)
    with pytest.raises(QueryFailed, match="code 516"):
        schema.create_teams_dictionary(source.clickhouse, "writer", "mistyped")
    assert source.clickhouse.client.execute(IS_ENABLED) == [(1,)]
    # What that left does not stop the next one.
    schema.create_teams_dictionary(source.clickhouse, clickhouse_server.user, clickhouse_server.password)
    [(names,)] = source.clickhouse.client.execute(
        "SELECT groupArray(name) FROM system.dictionaries WHERE database = currentDatabase()"
    )
    assert names == [schema.TEAMS_DICTIONARY]
