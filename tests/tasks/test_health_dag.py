"""web_analytics_health as a whole: real runs of the DAG on the embedded engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import fingerprint
from web_analytics.build import steps
from web_analytics.build.locks import RunActivity
from web_analytics.clickhouse import history
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.detection import activity as source_activity
from web_analytics.reporting import metrics
from web_analytics.rules import health
from web_analytics.rules.health import Thresholds
from web_analytics.rules.partitions import DateRange
from web_analytics.tables import BUILT_TABLES
from web_analytics.tasks.health import leftovers

DAG = "web_analytics_health"
# of three days: stage, publish, and an insert for each table
ATTEMPTS = 3 * (2 + len(BUILT_TABLES))


def checks(clickhouse) -> list[tuple[str, str, dict]]:
    rows = clickhouse.client.execute(
        "SELECT status, reason, details FROM web_analytics_backfill_log WHERE kind = 'health' ORDER BY logged_at"
    )
    return [(status, reason, json.loads(details)) for status, reason, details in rows]


@pytest.fixture
def with_data(source, days):
    """Three teams with data on three days, and an enabled one without."""
    source.enable(1, 2, 3, 4)
    source.visits([1, 2, 3], days(3), per_day=1)
    return source


@pytest.fixture
def complete(with_data, settings, days):
    """All of it built, and a decision made."""
    clickhouse = with_data.clickhouse
    for day in days(3):
        steps.build_partition(clickhouse, settings, day, [1, 2, 3])
    task = TaskIdentity("web_analytics_backfill", "some run", "decide")
    history.append(clickhouse, task, kind="decision", status="skip", details={"dates": []})
    return with_data


def test_a_complete_state_is_ok_with_its_metrics(with_data, run_dag, days):
    complete = with_data
    assert run_dag("web_analytics_backfill").state == "success"
    run = run_dag(DAG)
    assert run.state == "success"
    [(status, reason, details)] = checks(complete.clickhouse)
    assert (status, reason) == ("ok", "nothing to do")
    numbers = details["metrics"]
    assert set(numbers) <= set(metrics.GAUGES)
    assert numbers["coverage_percent.stats"] == numbers["coverage_percent.bounces"] == 100.0
    assert numbers["enabled_teams"] == 4
    assert numbers["teams_without_recent_data"] == 1
    assert numbers["dates_built"] == 3
    assert numbers["attempts"] == ATTEMPTS
    assert numbers["success_percent"] == 100.0
    assert numbers["freshness_hours"] == numbers["team_freshness_hours.worst"]
    hours = (
        datetime.now(UTC) - datetime.combine(days(1)[0], datetime.min.time(), UTC)
    ).total_seconds() / 3600 - 24
    assert abs(numbers["freshness_hours"] - hours) < 0.2
    # what the embedded engine's query log says
    assert numbers["rows_read"] > 0
    assert numbers["peak_memory_bytes"] > 0
    assert 0 < numbers["cpu_percent_of_server"] <= 100


def test_the_coverage_is_never_null(complete, run_dag, days):
    """The coverage metric was always null."""
    admin = complete.clickhouse.client
    day = days(2)[1]
    admin.execute(
        f"DELETE FROM web_pre_aggregated_stats WHERE team_id = 2 AND toDate(period_bucket) = '{day}'"
    )
    run_dag(DAG)
    numbers = checks(complete.clickhouse)[-1][2]["metrics"]
    assert numbers["coverage_percent.stats"] == pytest.approx(100 * 8 / 9, abs=0.001)
    assert numbers["coverage_percent.bounces"] == 100.0
    assert numbers["missing_partitions"] == 1
    hours = numbers["team_freshness_hours.p50"]
    assert numbers["team_freshness_hours.worst"] == hours  # of team 2, too, the newest day is complete
    admin.execute(
        f"DELETE FROM web_pre_aggregated_stats WHERE team_id = 2 AND toDate(period_bucket) = '{days(1)[0]}'"
    )
    run_dag(DAG)
    numbers = checks(complete.clickhouse)[-1][2]["metrics"]
    assert numbers["team_freshness_hours.worst"] == pytest.approx(hours + 48, abs=0.2)
    assert numbers["team_freshness_hours.p50"] == pytest.approx(hours, abs=0.2)
    assert numbers["freshness_hours"] == pytest.approx(hours + 48, abs=0.2)


def test_nothing_enabled_is_ok(source, run_dag):
    assert run_dag(DAG).state == "success"
    [(status, _, details)] = checks(source.clickhouse)
    assert status == "ok"
    assert details["metrics"]["coverage_percent.stats"] == 100.0
    assert "freshness_hours" not in details["metrics"]


def test_the_states_of_months_that_are_over_are_kept(source, settings, run_dag):
    this_month = datetime.now(UTC).date().replace(day=1)
    # The one before may not be closed yet.
    month = (this_month - timedelta(days=40)).replace(day=1)
    source.enable(1)
    source.visits([1], [month + timedelta(days=7)], per_day=1)
    source_activity.refresh(source.clickhouse, settings, DateRange(month, this_month))
    for _ in range(2):
        run_dag(DAG)  # failing, since nothing has ever run; that is not what this task depends on
    kept = source.clickhouse.client.execute(
        "SELECT date_start, date_end, kept_rows, team_ids FROM web_analytics_kept_months ORDER BY date_start"
    )
    next_month = (month + timedelta(days=32)).replace(day=1)
    assert (month, next_month, 1, [1]) in kept
    assert len({start for start, *_ in kept}) == len(kept)


def test_an_old_gap_fails_the_run_and_says_what_to_run(source, run_dag, days, monkeypatch):
    monkeypatch.setattr(health, "THRESHOLDS", Thresholds(failing_gap_hours=90))
    day = days(5)[-1]
    source.enable(1)
    source.visits([1], [day], per_day=1)
    run = run_dag(DAG)
    assert run.state == "failed"
    [(status, reason, details)] = checks(source.clickhouse)
    assert status == "failing"
    assert f"the oldest gap, {day}, has waited" in reason
    assert "web_analytics_backfill has never run" in reason
    command = next(each["command"] for each in details["reasons"] if "oldest gap" in each["text"])
    assert (
        run_dag("web_analytics_backfill", json.loads(command.split("--conf ")[1].strip("'"))).state
        == "success"
    )
    run_dag(DAG)
    assert "oldest gap" not in checks(source.clickhouse)[-1][1]


def test_the_days_of_a_team_that_was_just_enabled_have_not_waited(complete, run_dag, days):
    run_dag(DAG)
    complete.visits([5], days(10), per_day=1)
    complete.enable(5)
    run_dag(DAG)
    status, reason, details = checks(complete.clickhouse)[-1]
    assert details["oldest_gap"] == str(days(10)[-1])
    assert "oldest gap" not in reason
    assert details["metrics"]["oldest_gap_hours"] < 1


def test_the_thresholds_decide(complete, run_dag, days, monkeypatch):
    admin = complete.clickhouse.client
    admin.execute(f"DELETE FROM web_pre_aggregated_stats WHERE toDate(period_bucket) = '{days(3)[-1]}'")
    for failing, degraded, expected in ((100_000, 90_000, "ok"), (100_000, 1, "degraded"), (1, 1, "failing")):
        monkeypatch.setattr(health, "THRESHOLDS", Thresholds(degraded, failing))
        assert run_dag(DAG).state == ("failed" if expected == "failing" else "success")
        assert checks(complete.clickhouse)[-1][0] == expected


def test_failures_are_counted_by_code(complete, run_dag):
    admin = complete.clickhouse.client
    admin.execute(
        "INSERT INTO web_analytics_backfill_log (kind, status, error_code, reason) "
        "SELECT 'attempt', 'failed', 241, 'memory' FROM numbers(8)"
    )
    assert run_dag(DAG).state == "failed"
    status, reason, details = checks(complete.clickhouse)[-1]
    assert status == "failing"
    succeeded = f"{100 * ATTEMPTS / (ATTEMPTS + 8):.4g} % of {ATTEMPTS + 8} attempts succeeded"
    assert f"{succeeded} (8 with code 241)" in reason
    [failure] = details["failures"]
    assert (failure["error_code"], failure["failures"], failure["last_reason"]) == (241, 8, "memory")


def test_what_a_killed_build_left_is_found(complete, settings, days):
    clickhouse = complete.clickhouse
    day = days(3)[1]
    lock = steps.stage(clickhouse, settings, TaskIdentity("web_analytics_backfill", "killed"), day, [1]).lock
    now = datetime.now(UTC)
    for activity, after, expected in (
        (RunActivity.ENDED, timedelta(0), [day]),
        (RunActivity.ACTIVE, timedelta(days=2), []),
        (RunActivity.UNKNOWN, timedelta(0), []),
        (RunActivity.UNKNOWN, timedelta(days=2), [day]),
    ):
        assert leftovers(clickhouse, settings, now + after, lambda owner, it=activity: it) == expected
    clickhouse.run("build/drop_tables", names={"tables": [lock.table]})
    assert leftovers(clickhouse, settings, now, lambda owner: RunActivity.UNKNOWN) == [day]


def test_it_changes_nothing_but_its_row(complete, run_dag):
    before = fingerprint(complete.clickhouse)
    run_dag(DAG, {"days": 30})
    after = fingerprint(complete.clickhouse)
    assert {name for name in after if after[name] != before[name]} == {"web_analytics_backfill_log"}


def test_a_failed_query_fails_the_check(complete, run_dag):
    complete.clickhouse.client.execute("DROP VIEW web_analytics_source_events")
    assert run_dag(DAG).state == "failed"
    assert checks(complete.clickhouse) == []
