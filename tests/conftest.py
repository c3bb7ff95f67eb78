"""Fixtures on a real ClickHouse engine and real DAG runs; nothing here is a fake."""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

# Before anything imports airflow: it reads its configuration once.
os.environ.update(
    {
        "AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-home-"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "SCARF_ANALYTICS": "false",
    }
)
for variable in [name for name in os.environ if name.startswith("WEB_ANALYTICS_")]:
    del os.environ[variable]
for folder in (CHECKOUT, CHECKOUT / "plugins"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


# Fixtures through which a test depends on which ClickHouse is there.
OF_A_SERVER = {"clickhouse_server", "acting_as"}
# Tests that reach the given servers in a way of their own.
ON_A_SERVER = ("endpoint", "replicas")


def pytest_collection_modifyitems(config, items):
    """On a given server only what depends on it is run; `make test` runs all else."""
    if "CLICKHOUSE_TEST_URL" in os.environ:
        others = [
            item
            for item in items
            if OF_A_SERVER.isdisjoint(item.fixturenames)
            and not any(map(item.get_closest_marker, ON_A_SERVER))
        ]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in others]


@pytest.fixture(scope="session", autouse=True)
def heavy_statements_do_not_wait():
    """In production they yield to dashboards; beside other tests they would wait for whatever else runs."""
    from web_analytics.clickhouse.connection import HEAVY_DEFAULTS

    before = HEAVY_DEFAULTS.pop("os_thread_priority")
    yield
    HEAVY_DEFAULTS["os_thread_priority"] = before


@pytest.fixture(scope="session")
def is_embedded() -> bool:
    return "CLICKHOUSE_TEST_URL" not in os.environ


@pytest.fixture(scope="session")
def clickhouse_server(tmp_path_factory, is_embedded):
    """One ClickHouse for all tests: the one at CLICKHOUSE_TEST_URL, else the embedded one."""
    if not is_embedded:
        from tests.servers.given import GivenServer

        yield GivenServer(os.environ["CLICKHOUSE_TEST_URL"])
        return
    from embedded_clickhouse.process import EmbeddedClickHouse

    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def prepared_databases():
    """Databases that were set up and are empty."""
    return []


@pytest.fixture
def own_database(request, clickhouse_server, prepared_databases):
    """An empty database of this test's own: one that another test has used, if this one wants everything that the setup
    creates."""
    from tests.prepared import Database
    from tests.support import open_client

    wants_schema = "web_analytics_schema" in request.fixturenames
    may_be_known = wants_schema and not request.node.get_closest_marker("new_database")
    admin = open_client(clickhouse_server)
    if may_be_known and prepared_databases:
        used = prepared_databases.pop()
    else:
        used = Database(f"test_{uuid.uuid4().hex[:12]}")
        admin.execute(f"CREATE DATABASE {used.name}")
    yield used
    if used.is_prepared and used.empty(admin):
        prepared_databases.append(used)
    else:
        admin.execute(f"DROP DATABASE {used.name} SYNC")
    admin.disconnect()


@pytest.fixture
def clickhouse(own_database, clickhouse_server, monkeypatch):
    """The package's connection, to the test's own database."""
    from web_analytics.clickhouse.connection import ClickHouse

    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", clickhouse_server.uri(own_database.name))
    with ClickHouse("clickhouse_default") as connection:
        yield connection


@pytest.fixture
def admin(clickhouse):
    """A plain driver connection to the same database, for tests to look and to break things by hand."""
    return clickhouse.client


@pytest.fixture
def settings():
    from web_analytics.settings import Settings

    return Settings.load({})


@pytest.fixture
def web_analytics_schema(clickhouse, own_database, clickhouse_server, settings):
    """The connection with an empty PostHog-shaped source and everything that the setup creates."""
    from tests.support import set_up

    if not own_database.is_prepared:
        set_up(clickhouse, settings, clickhouse_server.user, clickhouse_server.password)
        own_database.was_set_up(clickhouse.client)
    return clickhouse


@pytest.fixture
def newest_closed(settings) -> date:
    """The newest closed day now: yesterday, or the day before in the first hour of a UTC day."""
    from web_analytics.rules.partitions import newest_closed_day

    return newest_closed_day(datetime.now(UTC), settings.settling)


@pytest.fixture
def source(web_analytics_schema):
    """Writes teams and events by hand."""
    from tests.support import Source

    return Source(web_analytics_schema)


@pytest.fixture(scope="session")
def airflow_database():
    """Airflow's own metadata database, made once."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def dag_bag(airflow_database):
    from tests.support import load_dags

    return load_dags(CHECKOUT / "dags")


@pytest.fixture
def run_dag(airflow_database):
    """Runs a DAG in this process, with real retries that do not wait."""
    from tests.support import DagRunner

    return DagRunner(CHECKOUT / "dags")


@pytest.fixture
def days(newest_closed):
    """``days(n)``: the n newest closed days, newest first."""
    return lambda count: [newest_closed - timedelta(days=offset) for offset in range(count)]


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL, one for all tests."""
    from tests.postgres import running_server

    # Not below pytest's own folder: every pytest that starts takes the rights on that from all but its user.
    with running_server(Path(tempfile.mkdtemp(prefix="postgres-"))) as server:
        yield server


@pytest.fixture
def posthog_db(postgres_server, monkeypatch):
    """PostHog's own database, new for this test, as the Airflow connection posthog_db."""
    from tests.postgres import new_database

    database = new_database(postgres_server, f"posthog_{uuid.uuid4().hex[:12]}")
    monkeypatch.setenv("AIRFLOW_CONN_POSTHOG_DB", database.airflow_connection)
    return database
