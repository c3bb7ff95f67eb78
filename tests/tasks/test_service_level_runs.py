"""The service level through real runs of the health check: in its verdict, its record and its metrics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.documentation.commands import blocks
from tests.tasks.test_health_dag import checks
from web_analytics.build import steps
from web_analytics.clickhouse import history
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.detection import activity
from web_analytics.reporting import metrics
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.service_level import deadline
from web_analytics.tables import BOUNCES

DAG = "web_analytics_health"
TEAMS = [1, 2, 3, 4]
NAMES = {"service_level_percent", "error_budget_left_percent", "burn_rate"}


@pytest.fixture
def built(source, settings, days):
    """Three days of four teams, looked at and built for the first time today."""
    clickhouse, three = source.clickhouse, days(3)
    source.enable(*TEAMS)
    source.visits(TEAMS, three, per_day=1)
    activity.refresh(clickhouse, settings, DateRange(three[-1], three[0] + ONE_DAY))
    for day in three:
        steps.build_partition(clickhouse, settings, day, TEAMS)
    task = TaskIdentity("web_analytics_backfill", "some run", "decide")
    history.append(clickhouse, task, kind="decision", status="skip", details={"dates": []})
    return source


def built_first(source, hours: int, condition: str) -> None:
    """As if these entries of the ledger had been built so many hours after the end of their day."""
    source.clickhouse.client.execute(
        "ALTER TABLE web_analytics_backfill_ledger UPDATE first_built_at = toDateTime64(partition_date + 1, 6, 'UTC') "
        f"+ INTERVAL {hours} HOUR WHERE {condition} SETTINGS mutations_sync = 2"
    )


def test_late_days_are_told_and_those_before_the_first_build_are_not(built, run_dag, days, monkeypatch):
    sent = []
    monkeypatch.setattr(metrics, "send", sent.append)
    assert run_dag(DAG).state == "success"
    [(status, reason, details)] = checks(built.clickhouse)
    assert (status, reason, details["service_level"]) == ("ok", "nothing to do", None)
    assert not NAMES & set(sent[0])

    # All were built at two in the night, but of team 3 the second table in the afternoon.
    built_first(built, 2, "true")
    built_first(built, 13, f"team_id = 3 AND table_name = '{BOUNCES.name}'")
    assert run_dag(DAG).state == "success"
    status, reason, details = checks(built.clickhouse)[-1]
    due = [day for day in days(3) if deadline(day, 6) <= datetime.now(UTC)]
    # The first build was on the second of them: they count from then on.
    counting = len(due) - 1
    level = details["service_level"]
    assert status == "degraded"
    assert f"days are late, not complete 6 h after their end: {due[0]} (1 of 4 teams)" in reason
    assert details["reasons"][0]["command"].startswith("airflow dags trigger web_analytics_diagnostics")
    assert (level["expected"], level["late"], level["hours"]) == (4 * counting, counting, 6)
    assert {name: sent[1][name] for name in NAMES} == {
        "service_level_percent": 75.0,
        "error_budget_left_percent": -2400.0,
        "burn_rate": 25.0,
    }
    [query] = [
        block.text for block in blocks() if block.document == "docs/operations.md" and block.kind == "sql"
    ]
    found = built.clickhouse.client.execute(query)
    assert [row[:3] for row in found] == [(day, BOUNCES.name, 1) for day in sorted(days(3))]
