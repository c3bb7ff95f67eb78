"""A run that a person has cleared and that fails the second time: what its tasks handed on the first time does not count."""

from __future__ import annotations

import pytest

from tests.support import leftovers
from web_analytics.build import steps
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import ONE_DAY


@pytest.fixture
def built(source, settings, days):
    source.enable(1)
    source.visits([1], days(2))
    for day in days(2):
        steps.build_partition(source.clickhouse, settings, day, [1])
    return source.clickhouse


@pytest.mark.parametrize(
    ("dag_id", "table"),
    [
        # Its detection fails after one that had found nothing to do.
        ("web_analytics_backfill", "web_analytics_source_events"),
        # The check of the schema fails after days that were exact.
        ("web_analytics_validate", "web_pre_aggregated_stats"),
    ],
)
def test_it_ends_red(built, run_dag, dag_id, table):
    first = run_dag(dag_id)
    assert first.state == "success"
    built.client.execute(f"RENAME TABLE {table} TO elsewhere")
    again = run_dag.clear_and_run(dag_id, first.run_id)
    assert again.state == "failed", again.states
    built.client.execute(f"RENAME TABLE elsewhere TO {table}")
    assert run_dag.clear_and_run(dag_id, first.run_id).state == "success"
    assert leftovers(built) == []


def test_what_it_published_before_does_not_count(built, run_dag, days, monkeypatch):
    conf = {"rebuild": True, "date_start": f"{days(2)[1]}", "date_end": f"{days(1)[0] + ONE_DAY}"}
    first = run_dag("web_analytics_backfill", conf)
    assert first.states["build_date.publish"] == ["success", "success"]

    def broken(*arguments):
        raise QueryFailed("build/fill_events", "", 62, "broken meanwhile")

    monkeypatch.setattr(steps, "stage", broken)
    again = run_dag.clear_and_run("web_analytics_backfill", first.run_id)
    assert again.states["build_date.stage"] == ["failed", "failed"]
    assert (again.state, again.states["summarise"]) == ("failed", ["failed"])


def test_it_tells_the_cause_of_now(built, run_dag, caplog, monkeypatch):
    """Of a task that had failed the first time, and that the second failure keeps from running again."""
    built.client.execute("ALTER TABLE web_pre_aggregated_stats ADD COLUMN mine UInt8")
    first = run_dag("web_analytics_validate")
    assert first.states["check_schema"] == ["failed"]
    monkeypatch.setenv("WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES", "nobody")
    caplog.clear()
    again = run_dag.clear_and_run("web_analytics_validate", first.run_id)
    assert (again.states["choose_days"], again.states["check_schema"]) == (["failed"], ["upstream_failed"])
    assert "No day was checked. choose_days: " in caplog.text
    assert "column mine" not in caplog.text
