"""A bad value never hides a DAG: the file is imported, and the run's first task fails before any query."""

from __future__ import annotations

from tests.conftest import CHECKOUT
from tests.support import fingerprint, load_dags

DAG = "web_analytics_backfill"

BAD_ENVIRONMENT = {
    "WEB_ANALYTICS_BACKFILL_LOOKBACK_DAYS": "thirty",
    "WEB_ANALYTICS_BUCKET_MINUTES": "7",
    "WEB_ANALYTICS_CLICKHOUSE_SETTINGS": "{",
    "WEB_ANALYTICS_PARTITIONS_START_DATE": "tomorrow",
    "WEB_ANALYTICS_DAILY_BUILD": "perhaps",
    "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "astrology",
}


def statements_of_tasks(clickhouse) -> list[tuple]:
    """What any task asked ClickHouse in this test's database."""
    clickhouse.client.execute("SYSTEM FLUSH LOGS")
    return clickhouse.client.execute(
        "SELECT query_id FROM system.query_log WHERE current_database = currentDatabase() "
        f"AND startsWith(query_id, '{DAG}:')"
    )


def test_dag_files_are_imported_whatever_the_environment_holds(airflow_database, monkeypatch):
    for variable, text in BAD_ENVIRONMENT.items():
        monkeypatch.setenv(variable, text)
    bag = load_dags(CHECKOUT / "dags")
    assert bag.import_errors == {}
    assert DAG in bag.dags


def test_a_bad_variable_stops_the_first_task_before_any_query(source, run_dag, days, monkeypatch, capfd):
    source.enable(1)
    source.visits([1], days(3))
    before = fingerprint(source.clickhouse)
    monkeypatch.setenv("WEB_ANALYTICS_BUCKET_MINUTES", "7")
    run = run_dag(DAG)

    assert run.state == "failed"
    assert run.states["detect"] == ["failed"]
    assert run.states["decide"] == ["upstream_failed"]
    output = "".join(capfd.readouterr())
    assert "WEB_ANALYTICS_BUCKET_MINUTES is '7'; accepted: 60, 30 or 15." in output
    assert statements_of_tasks(source.clickhouse) == []
    assert fingerprint(source.clickhouse) == before


def test_a_bad_conf_stops_the_first_task_before_any_query(source, run_dag, capfd):
    before = fingerprint(source.clickhouse)
    run = run_dag(DAG, {"date_start": "2026-01-02", "date_end": "2026-01-01"})
    assert run.state == "failed"
    assert run.states["detect"] == ["failed"]
    sentence = "date_end is '2026-01-01'; accepted: 1 to 365 days after date_start 2026-01-02"
    assert sentence in "".join(capfd.readouterr())
    assert statements_of_tasks(source.clickhouse) == []
    assert fingerprint(source.clickhouse) == before


def test_the_query_log_sees_what_tasks_ask(source, run_dag):
    """So that an empty one means something in the tests above."""
    assert run_dag(DAG).state == "success"
    assert statements_of_tasks(source.clickhouse) != []
