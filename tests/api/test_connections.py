"""Three users of ClickHouse instead of one: who works on which connection."""

from __future__ import annotations

import pytest

NOWHERE = "clickhouse://default:@127.0.0.1:9/default"
CONNECTIONS = {
    "default": "",
    "setup": "WEB_ANALYTICS_SETUP_CONN_ID",
    "reader": "WEB_ANALYTICS_READER_CONN_ID",
}


@pytest.fixture
def only(source, clickhouse_server, monkeypatch):
    """``only(name)``: of the three connections just this one leads to the database."""
    [(database,)] = source.clickhouse.client.execute("SELECT currentDatabase()")

    def lead(name):
        for each, variable in CONNECTIONS.items():
            uri = clickhouse_server.uri(database) if each == name else NOWHERE
            monkeypatch.setenv(f"AIRFLOW_CONN_CLICKHOUSE_{each.upper()}", uri)
            if variable:
                monkeypatch.setenv(variable, f"clickhouse_{each}")

    return lead


def test_what_only_reads_does_so_as_the_reader(airflow_api, login, only, run_dag):
    only("reader")
    for path in ("teams", "coverage/data", "coverage/decisions"):
        assert airflow_api.get(f"/web-analytics/{path}", headers=login("viewer")).status_code == 200, path
    assert airflow_api.put("/web-analytics/teams/7", json={}, headers=login("admin")).status_code == 503
    assert run_dag("web_analytics_diagnostics").state == "success"


def test_teams_are_changed_as_the_writer(airflow_api, login, only):
    only("default")
    assert airflow_api.put("/web-analytics/teams/7", json={}, headers=login("admin")).status_code == 200
    assert airflow_api.get("/web-analytics/teams", headers=login("viewer")).status_code == 503


def test_the_tables_are_made_as_the_setup(only, source, run_dag):
    """Only the dictionary's login is that of the reader."""
    only("setup")
    source.clickhouse.client.execute("DROP TABLE web_analytics_backfill_plan")
    run = run_dag("web_analytics_setup")
    assert run.states["create_tables"] == run.states["create_source_view"] == ["success"]
    assert run.states["create_teams_dictionary"] == ["success"]


def test_a_region_takes_no_connection_of_another_installation():
    from web_analytics.regions import environment_of
    from web_analytics.settings import Settings

    environment = {
        "WEB_ANALYTICS_SETUP_CONN_ID": "setup",
        "WEB_ANALYTICS_READER_CONN_ID": "reader",
        "WEB_ANALYTICS_READER_CONN_ID__EU": "reader_eu",
        "WEB_ANALYTICS_CLICKHOUSE_CONN_ID__EU": "writer_eu",
    }
    here = Settings.load(environment)
    assert (here.setup_conn_id, here.reader_conn_id) == ("setup", "reader")
    eu = Settings.load(environment_of(environment, "__eu"))
    assert (eu.clickhouse_conn_id, eu.setup_conn_id, eu.reader_conn_id) == ("writer_eu", "", "reader_eu")
