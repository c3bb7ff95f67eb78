"""Several nodes behind one endpoint, for a user to run on theirs: ``make test-load-balanced``.

CLICKHOUSE_TEST_URL is the endpoint, over the native protocol, and CLICKHOUSE_TEST_CLUSTER the cluster of its nodes. Each test
makes a database of its own: where that of the URL is Shared the server does, else one of the engine Replicated.
"""

from __future__ import annotations

import os
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from demo import sample_data
from tests.servers.given import GivenServer
from tests.support import Source, differences_from_oracle, wait_until
from web_analytics import schema
from web_analytics.build import locks
from web_analytics.build.locks import LockHeld, Owner
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.settings import Settings

pytestmark = pytest.mark.endpoint

ENDPOINT, CLUSTER = os.environ.get("CLICKHOUSE_TEST_URL", ""), os.environ.get("CLICKHOUSE_TEST_CLUSTER", "")
ENDLESS = (
    "SELECT sum(sleepEachRow(0.1)) FROM numbers(1000000) WHERE NOT ignore('{}') SETTINGS max_block_size = 1"
)
CANCELLED = 394


def open_client(database: str = "") -> Client:
    """A client of the endpoint that is no connection of the package; without a database it has that of the URL."""
    parts = urlsplit(ENDPOINT)
    return Client.from_url(parts._replace(path=f"/{database}" if database else parts.path).geturl())


@pytest.fixture
def endpoint(monkeypatch):
    """The name of a database that all nodes share; the package's settings lead to it."""
    assert ENDPOINT, "CLICKHOUSE_TEST_URL is to name the endpoint"
    assert CLUSTER, "CLICKHOUSE_TEST_CLUSTER is to name the cluster of its nodes"
    name, admin = f"load_balanced_{uuid.uuid4().hex[:8]}", open_client()
    [(engine,)] = admin.execute("SELECT engine FROM system.databases WHERE name = currentDatabase()")
    on_cluster = "" if engine == "Shared" else f"ON CLUSTER '{CLUSTER}'"
    made = (
        ""
        if engine == "Shared"
        else f"ENGINE = Replicated('/clickhouse/databases/{name}', '{{shard}}', '{{replica}}')"
    )
    admin.execute(f"CREATE DATABASE {name} {on_cluster} {made}")
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", GivenServer(ENDPOINT).uri(name))
    monkeypatch.setenv("WEB_ANALYTICS_TOPOLOGY", "load_balanced")
    monkeypatch.setenv("WEB_ANALYTICS_CLUSTER", CLUSTER)
    yield name
    admin.execute(f"DROP DATABASE {name} {on_cluster} SYNC")
    admin.disconnect()


@pytest.fixture
def connect(endpoint):
    """A new connection of the package, to whichever node it leads."""
    opened = []

    def new() -> ClickHouse:
        opened.append(ClickHouse("clickhouse_default", placement=Settings.load().placement))
        return opened[-1]

    yield new
    for each in opened:
        each.close()


def make_replicated(admin) -> None:
    """Tables as the database of the engine Replicated needs them; a Shared one has made of them what it needs."""
    for name, statement in admin.execute(
        "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() "
        "AND match(engine, '^[A-Z][a-z]*MergeTree$') AND NOT startsWith(engine, 'Shared')"
    ):
        admin.execute(f"DROP TABLE {name} SYNC")
        admin.execute(re.sub(r"ENGINE = (\w*MergeTree)", r"ENGINE = Replicated\1", statement, count=1))


def test_every_task_may_reach_another_node(endpoint, connect, run_dag, days):
    sample_data.create_source(connect())
    make_replicated(connect().client)
    assert run_dag("web_analytics_setup").state == "success"
    source = Source(connect())
    source.enable(1, 2, 3)
    source.visits([1, 2, 3], days(3))
    # The package waits for its own tables; events that are late on a node are stale days of a later run.
    connect().client.execute(f"SYSTEM SYNC REPLICA ON CLUSTER '{CLUSTER}' {endpoint}.events LIGHTWEIGHT")
    assert run_dag("web_analytics_backfill", {"days_back": 5}).state == "success"
    assert differences_from_oracle(connect(), days(3), [1, 2, 3]) == []
    # A part of the teams again: the others' rows are those of whichever node wrote them.
    conf = {"team_ids": [2], "rebuild": True, "date_start": f"{days(3)[-1]}", "date_end": f"{days(3)[0]}"}
    assert run_dag("web_analytics_backfill", conf).state == "success"
    assert differences_from_oracle(connect(), days(3), [1, 2, 3]) == []
    for dag_id in ("validate", "diagnostics", "health"):
        assert run_dag(f"web_analytics_{dag_id}").state == "success", dag_id


def test_one_of_many_gets_the_lock(connect, days):
    [day] = days(1)

    def ask(number: int) -> bool:
        try:
            locks.acquire(connect(), day, Owner("some_dag", f"run {number}"))
        except LockHeld:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(ask, range(8))) == [False] * 7 + [True]


def test_a_newer_try_is_seen_at_once(connect, days):
    [day] = days(1)
    task = TaskIdentity("some_dag", "some run")
    lock = locks.acquire(connect(), day, Owner.of(task))
    looking = connect()
    looking.query("schema/read_node")
    for number in range(1, 11):
        made, _ = locks.begin(
            connect(), lock, TaskIdentity("some_dag", "some run", try_number=number), "stage"
        )
        assert locks._newest_try(looking, lock, "stage") == (number, made.token)


def test_queries_of_all_nodes_are_found_and_ended(endpoint, connect):
    prefix = f"web_analytics_build_20260101_{uuid.uuid4().hex[:12]}_"
    clickhouse = connect()

    def running() -> int:
        return clickhouse.query("build/count_queries_of_build", {"table_prefix": prefix})[0]["running"]

    clients = [open_client(endpoint) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        endless = [pool.submit(client.execute, ENDLESS.format(prefix)) for client in clients]
        wait_until(lambda: running() == 8)
        clickhouse.kill("build/kill_queries_of_build", {"table_prefix": prefix})
        for each in endless:
            with pytest.raises(ServerException) as ended:
                each.result(timeout=60)
            assert ended.value.code == CANCELLED
    assert running() == 0


def test_the_nodes_share_one_catalog(connect):
    answered = []
    for _ in range(10):
        clickhouse = connect()
        answered.append((clickhouse.query("schema/read_node")[0]["node"], clickhouse.database))
    schema.check_shared_catalog(answered)
