"""Events on two shards: the package on one node, its view on the Distributed table, as PostHog's events lie."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from demo import sample_data
from tests.servers.cluster import CLUSTER, two_shards
from tests.support import Source, at, differences_from_oracle, found_gaps, open_client, session_id
from web_analytics import schema, validation
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import activity

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with two_shards(tmp_path_factory.mktemp("cluster")) as servers:
        yield servers


@pytest.fixture
def sharded(nodes, monkeypatch, settings):
    """The package's connection to the first shard, where ``events`` is the Distributed table over both; and a client of
    each shard."""
    database, clients = f"sharded_{uuid.uuid4().hex[:8]}", []
    for server in nodes:
        admin = open_client(server)
        admin.execute(f"CREATE DATABASE {database} ENGINE = Atomic")
        admin.disconnect()
        clients.append(open_client(server, database=database))
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", nodes[0].uri(database))
    with ClickHouse("clickhouse_default") as clickhouse:
        for server in nodes:
            monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_OF_SHARD", server.uri(database))
            with ClickHouse("clickhouse_of_shard") as of_shard:
                sample_data.create_source(of_shard)
        for client in clients:
            client.execute("RENAME TABLE events TO events_of_shard")
            client.execute(
                f"CREATE TABLE events AS events_of_shard ENGINE = "
                f"Distributed('{CLUSTER}', currentDatabase(), events_of_shard, cityHash64(distinct_id))"
            )
        schema.create_tables(clickhouse)
        schema.create_teams_dictionary(clickhouse)
        schema.create_source_view(clickhouse, settings)
        clickhouse.client.settings["distributed_foreground_insert"] = 1
        yield clickhouse, clients
    for client in clients:
        client.disconnect()


TEAMS = list(range(1, 9))


def on_each_shard(clients, statement: str = "SELECT count() FROM events_of_shard") -> list[int]:
    return [client.execute(statement)[0][0] for client in clients]


def exact(clickhouse, settings, days) -> bool:
    """Both tables are what the events say, by two statements that share nothing, and detection says so too."""
    assert differences_from_oracle(clickhouse, days, TEAMS) == []
    assert found_gaps(clickhouse, settings, days, TEAMS) == []
    for day in days:
        assert validation.check_day(clickhouse, settings, day, TEAMS).verdict == "exact"
    return True


def test_runs_on_events_of_two_shards(sharded, settings, days, run_dag):
    """All kinds of row that lie on two shards: sessions of two people, rows that occur twice, late ones, merged people."""
    clickhouse, clients = sharded
    assert run_dag("web_analytics_setup").state == "success"
    source = Source(clickhouse)
    source.enable(*TEAMS)
    source.visits(TEAMS, days(3))
    for team in TEAMS:
        session = session_id(at(days(3)[1], 23.5))
        for minute in range(0, 60, 7):
            again = source.event(
                team, at(days(3)[1], 23.5) + timedelta(minutes=minute), session, distinct_id=f"v{minute}"
            )
        source.event(
            team, at(days(3)[1], 23.5) + timedelta(minutes=56), session, event_uuid=again, distinct_id="v56"
        )
    assert min(on_each_shard(clients)) > 0
    assert run_dag("web_analytics_backfill", {"days_back": 8}).state == "success"
    assert exact(clickhouse, settings, days(3))

    before = on_each_shard(clients)
    for team in TEAMS:
        for number in range(5):
            source.event(
                team, at(days(3)[2], 9 + number), distinct_id=f"late-{number}", ingested=datetime.now(UTC)
            )
    assert all(now > then for now, then in zip(on_each_shard(clients), before, strict=True))
    conf = {"days_back": 8, "kinds": ["missing", "stale"], "min_missing_partitions": 1}
    assert run_dag("web_analytics_backfill", conf).state == "success"
    assert exact(clickhouse, settings, days(3))
    for dag_id in ("validate", "diagnostics", "health"):
        assert run_dag(f"web_analytics_{dag_id}").state == "success", dag_id


def test_the_parts_of_one_shard_hide_nothing_of_the_other(sharded, settings):
    """Parts of several shards have the same names, and each shard knows its own."""
    clickhouse, _ = sharded
    assert not activity.known_range(clickhouse, settings).has_part_name
