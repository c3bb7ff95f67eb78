"""A replica and the leader of Keeper are killed while days are built. Needs the services of compose.yaml, and so Docker:
`make test-replicas`."""

from __future__ import annotations

import uuid

import pytest

from demo import sample_data
from tests.cluster import nodes
from tests.support import Source, differences_from_oracle, leftovers, open_client
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.placement import Placement
from web_analytics.tables import TABLES

pytestmark = pytest.mark.replicas

TEAMS = [1, 2, 3]
CONF = {"days_back": 8, "min_missing_partitions": 1}


@pytest.fixture
def clients():
    """A client of each node, in a database of this test's own."""
    database, admin = f"replicas_{uuid.uuid4().hex[:8]}", open_client(nodes.FIRST)
    admin.execute(f"CREATE DATABASE {database} ON CLUSTER '{{cluster}}' ENGINE = Atomic")
    yield {node: open_client(node, database=database) for node in nodes.NODES}
    for node in nodes.NODES:
        nodes.start(node.service)
    admin.execute(f"DROP DATABASE {database} ON CLUSTER '{{cluster}}' SYNC")


@pytest.fixture
def source(clients, monkeypatch, run_dag):
    """The events of the first shard, after the setup; each node has a table of events, since each has the view on it."""
    [[database]] = clients[nodes.FIRST].execute("SELECT currentDatabase()")
    for node in nodes.NODES:
        monkeypatch.setenv("AIRFLOW_CONN_OF_NODE", node.uri(database))
        with ClickHouse("of_node") as of_node:
            sample_data.create_source(of_node)
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", nodes.FIRST.uri(database))
    monkeypatch.setenv("WEB_ANALYTICS_TOPOLOGY", "sharded")
    assert run_dag("web_analytics_setup").state == "success"
    with ClickHouse("clickhouse_default", placement=Placement("sharded")) as clickhouse:
        source = Source(clickhouse)
        source.enable(*TEAMS)
        yield source


def pageviews(client, table: str) -> list[tuple]:
    return client.execute(
        f"SELECT team_id, toDate(period_bucket) AS day, sumMerge(pageviews_count_state) FROM {table} "
        "GROUP BY team_id, day ORDER BY team_id, day"
    )


def published(source, days, run_dag) -> bool:
    assert run_dag("web_analytics_backfill", CONF).state == "success"
    assert differences_from_oracle(source.clickhouse, days, TEAMS) == []
    assert leftovers(source.clickhouse) == []
    return True


def test_days_are_published_while_a_replica_is_dead_which_has_them_later(source, clients, days, run_dag):
    source.visits(TEAMS, days(2))
    nodes.kill(nodes.ITS_REPLICA.service)
    assert published(source, days(2), run_dag)
    nodes.start(nodes.ITS_REPLICA.service)
    replica = clients[nodes.ITS_REPLICA]
    replica.disconnect()
    for table in TABLES:
        replica.execute(f"SYSTEM SYNC REPLICA {table.name}")
        assert pageviews(replica, table.name) == pageviews(clients[nodes.FIRST], table.name)


def test_days_are_published_while_keeper_finds_another_leader(source, days, run_dag):
    source.visits(TEAMS, days(2))
    leader = nodes.leader()
    nodes.kill(leader)
    try:
        assert published(source, days(2), run_dag)
        assert nodes.leader() != leader
    finally:
        nodes.start(leader)


def test_dashboards_read_both_shards(source, clients, days, run_dag, monkeypatch):
    source.visits([1], days(1))
    assert published(source, days(1), run_dag)
    [[database]] = clients[nodes.FIRST].execute("SELECT currentDatabase()")
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", nodes.SECOND.uri(database))
    with ClickHouse("clickhouse_default", placement=Placement("sharded")) as second:
        of_second = Source(second)
        of_second.enable(*TEAMS)
        of_second.visits([2], days(1))
        assert published(of_second, days(1), run_dag)
    for table in TABLES:
        for client in clients.values():
            rows = pageviews(client, f"distributed_{table.name}")
            assert [row[:2] for row in rows] == [(1, days(1)[0]), (2, days(1)[0])]
