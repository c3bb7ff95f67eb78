"""Several nodes behind one endpoint: what two nodes without Keeper can show."""

from __future__ import annotations

import itertools
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from clickhouse_driver.errors import ServerException

from tests.chaos.proxy import Proxy
from tests.servers.cluster import CLUSTER, two_shards
from tests.support import open_client, wait_until
from web_analytics import schema
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.placement import Placement
from web_analytics.errors import BadSetting, QueryFailed, SchemaMismatch

pytestmark = pytest.mark.cluster

NODES = ("node1", "node2")
PREFIX = "web_analytics_build_20260101_0123456789ab_"
ENDLESS = f"SELECT sum(sleepEachRow(0.1)) FROM numbers(1000000) WHERE NOT ignore('{PREFIX}') SETTINGS max_block_size = 1"
NO_ON_CLUSTER = 392
CANCELLED = 394


class Balancer(Proxy):
    """A load balancer: each connection leads to the next node."""

    def __init__(self, ports: list[int]):
        super().__init__(ports[0])
        self._ports, self._one_by_one = itertools.cycle(ports), threading.Lock()

    def _connect(self, client) -> None:
        with self._one_by_one:
            self._target_port = next(self._ports)
            super()._connect(client)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with two_shards(tmp_path_factory.mktemp("nodes")) as servers:
        yield servers


@pytest.fixture
def database(nodes, monkeypatch):
    """A database on each node, and the connection ``balanced`` through a load balancer."""
    name = f"balanced_{uuid.uuid4().hex[:8]}"
    for server, conn_id in zip(nodes, NODES, strict=True):
        admin = open_client(server)
        admin.execute(f"CREATE DATABASE {name} ENGINE = Atomic")
        admin.disconnect()
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", server.uri(name))
    balancer = Balancer([server.port for server in nodes])
    threading.Thread(target=balancer.serve, daemon=True).start()
    monkeypatch.setenv("AIRFLOW_CONN_BALANCED", f"clickhouse://default:@127.0.0.1:{balancer.port}/{name}")
    return name


@pytest.fixture
def behind(database):
    with ClickHouse("balanced", placement=Placement("load_balanced", CLUSTER, NODES)) as connection:
        yield connection


def running(clickhouse: ClickHouse) -> int:
    return clickhouse.query("build/count_queries_of_build", {"table_prefix": PREFIX})[0]["running"]


def test_queries_of_every_node_are_found_and_ended(behind, nodes, database):
    clients = [open_client(server, database=database) for server in nodes]
    assert running(behind) == 0
    with ThreadPoolExecutor(2) as pool:
        endless = [
            pool.submit(client.execute, ENDLESS, query_id=f"a:task:{i}") for i, client in enumerate(clients)
        ]
        wait_until(lambda: running(behind) == 2)
        # One node, asked as the only one, knows of its own.
        with ClickHouse(NODES[0]) as alone:
            assert running(alone) == 1
        # A further try ends what the earlier ones left, on whichever node.
        behind.kill(
            "clickhouse/kill_queries_of_earlier_tries", {"task_prefix": "a:task:", "try_prefix": "a:task:1"}
        )
        wait_until(lambda: running(behind) == 1)
        behind.kill("build/kill_queries_of_build", {"table_prefix": PREFIX})
        for each in endless:
            with pytest.raises(ServerException) as ended:
                each.result(timeout=30)
            assert ended.value.code == CANCELLED
    assert running(behind) == 0


def test_cancelling_reaches_the_node_that_works(behind):
    def work():
        with pytest.raises(QueryFailed) as failed:
            behind.records("endless", ENDLESS)
        return failed.value.code

    with ClickHouse("balanced", placement=behind.placement) as observer, ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        wait_until(lambda: running(observer) == 1)
        behind.cancel_running_query()
        assert working.result(timeout=30) == CANCELLED


def test_without_connections_to_the_nodes_on_cluster_ends_queries(database):
    """This server refuses ON CLUSTER, so it was asked for it."""
    with ClickHouse("balanced", placement=Placement("load_balanced", CLUSTER)) as connection:
        with pytest.raises(QueryFailed) as failed:
            connection.kill("build/kill_queries_of_build", {"table_prefix": PREFIX})
        assert failed.value.code == NO_ON_CLUSTER


def test_nodes_with_catalogs_of_their_own_are_refused(database):
    answered = []
    for _ in range(3):
        with ClickHouse("balanced") as connection:
            answered.append((connection.query("schema/read_node")[0]["node"], connection.database))
    assert len(set(answered)) == 2
    with pytest.raises(
        SchemaMismatch, match=f"the database {database} is of the engine Atomic, not Replicated or Shared"
    ):
        schema.check_shared_catalog(answered)
    with pytest.raises(SchemaMismatch, match="leads to several nodes"):
        schema.check_one_node(node for node, _ in answered)


def test_http_is_refused_where_each_statement_may_reach_another_node(nodes, database, monkeypatch):
    monkeypatch.setenv(
        "AIRFLOW_CONN_BALANCED",
        f"clickhouse://default:@127.0.0.1:{nodes[0].http_port}/{database}?protocol=http",
    )
    with (
        ClickHouse("balanced", placement=Placement("load_balanced", CLUSTER)) as connection,
        pytest.raises(
            BadSetting, match="The protocol of the connection balanced is 'http'; accepted: native where"
        ),
    ):
        connection.query("schema/read_node")
