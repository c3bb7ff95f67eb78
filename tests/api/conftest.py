"""Airflow's own API application with the plugin mounted, asked through its ASGI interface."""

from __future__ import annotations

import uuid

import pytest

from tests.conftest import CHECKOUT


@pytest.fixture(scope="session")
def airflow_api(airflow_database):
    """The application as ``airflow api-server`` serves it, without the task execution API."""
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    with TestClient(create_app(apps="core"), raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def login(airflow_api):
    """``login(role)``: the headers of a user with this role of the simple auth manager."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    def headers(role: str) -> dict[str, str]:
        user = SimpleAuthManagerUser(username=f"some {role}", role=role)
        return {"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}

    return headers


@pytest.fixture(scope="session")
def dags_in_database(airflow_database):
    """What the DAG processor writes: every DAG of the package, serialized."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import sync_bag_to_db

    from tests.support import load_dags

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(load_dags(CHECKOUT / "dags"), "dags-folder", None)


@pytest.fixture
def queued_runs(dags_in_database):
    """``queued_runs()``: who started the queued runs of web_analytics_team_backfill; there are none at first."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    from web_analytics.api.security import DAG_ID

    def queued() -> list[tuple[str, str]]:
        with create_session() as session:
            return list(
                session.execute(
                    select(DagRun.run_id, DagRun.triggering_user_name).where(
                        DagRun.dag_id == DAG_ID, DagRun.state == "queued"
                    )
                ).tuples()
            )

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == DAG_ID))
    return queued


@pytest.fixture
def eu(web_analytics_schema, clickhouse_server, settings, monkeypatch):
    """A region ``eu`` with a database of its own beside the one without a region."""
    from tests.support import Source, set_up
    from web_analytics.clickhouse.connection import ClickHouse

    database = f"region_{uuid.uuid4().hex[:12]}"
    web_analytics_schema.client.execute(f"CREATE DATABASE {database}")
    monkeypatch.setenv("WEB_ANALYTICS_REGIONS", "eu, us1")
    monkeypatch.setenv("WEB_ANALYTICS_CLICKHOUSE_CONN_ID__EU", "clickhouse_eu")
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_EU", clickhouse_server.uri(database))
    with ClickHouse("clickhouse_eu") as connection:
        set_up(connection, settings, clickhouse_server.user, clickhouse_server.password)
        yield Source(connection)
    web_analytics_schema.client.execute(f"DROP DATABASE {database} SYNC")
