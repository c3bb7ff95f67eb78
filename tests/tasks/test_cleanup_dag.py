"""web_analytics_cleanup as a whole: real runs of the DAG, answered the way Airflow's API and scheduler answer."""

from __future__ import annotations

import contextlib
import json
import threading

import pytest
from airflow.sdk.exceptions import ParamValidationError

from tests.people import answer, answer_now, no_answer_within, waiting_for_input
from tests.support import differences_from_oracle, fingerprint, leftovers, merged_totals
from web_analytics.build import locks, steps
from web_analytics.build.locks import Owner
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import ONE_DAY

DAG = "web_analytics_cleanup"


@pytest.fixture
def built(source, settings, days):
    """Three teams, three days, all built."""
    source.enable(1, 2, 3)
    source.visits([1, 2, 3], days(3))
    for day in days(3):
        steps.build_partition(source.clickhouse, settings, day, [1, 2, 3])
    return source.clickhouse


@pytest.fixture
def conf(days):
    """Team 2 on the two newest of the three days."""
    return {
        "team_id": 2,
        "date_start": days(2)[-1].isoformat(),
        "date_end": (days(1)[0] + ONE_DAY).isoformat(),
    }


def cleanups(clickhouse):
    return clickhouse.client.execute(
        "SELECT partition_date, status, reason, details FROM web_analytics_backfill_log "
        "WHERE kind = 'cleanup' ORDER BY logged_at"
    )


def enabled_teams(clickhouse):
    return [row["team_id"] for row in clickhouse.query("teams/list_enabled")]


def test_the_default_is_a_dry_run_that_changes_nothing(built, run_dag, conf):
    before = fingerprint(built)
    run = run_dag(DAG, conf)
    assert run.state == "success"
    assert run.states["approve"] == ["skipped"]
    assert run.states["delete_date.delete"] == ["skipped"]
    assert run.ran("show") == run.ran("prove") == 1
    assert fingerprint(built) == before


def test_approved_deletes_exactly_the_team_and_the_days(built, source, run_dag, days, conf):
    before = merged_totals(built)
    with answer("Approve"):
        run = run_dag(DAG, {**conf, "dry_run": False})

    assert run.state == "success"
    assert run.states["disable_team"] == ["success"]
    assert sorted(run.map_labels["delete_date.delete"], reverse=True) == [str(day) for day in days(2)]
    expected = [[row for row in rows if not (row[0] == 2 and row[1] in days(2))] for rows in before]
    assert merged_totals(built) == expected
    assert leftovers(built) == []
    # Nobody asked to disable it.
    assert enabled_teams(built) == [1, 2, 3]
    rows = cleanups(built)
    assert sorted((row[0], row[1]) for row in rows) == sorted((day, "succeeded") for day in days(2))
    details = json.loads(rows[0][3])
    assert "approved by eve" in rows[0][2]
    assert details["approved_by"].startswith("eve")
    assert [each["pageviews"] for each in details["deleted"]] == [6] * len(steps.BUILT_TABLES)


@pytest.mark.slow
def test_a_deleted_day_counts_as_not_built(built, source, run_dag, days, conf):
    with answer("Approve"):
        run_dag(DAG, {**conf, "dry_run": False})
    run = run_dag("web_analytics_backfill")
    assert sorted(run.map_labels["build_date.publish"], reverse=True) == [str(day) for day in days(2)]
    assert differences_from_oracle(built, days(3), [1, 2, 3]) == []


def test_rejected_deletes_nothing(built, run_dag, conf):
    before = merged_totals(built)
    with answer("Reject"):
        run = run_dag(DAG, {**conf, "dry_run": False, "disable_team": True})
    assert run.state == "success"
    assert run.states["approve"] == ["success"]
    assert run.states["plan_deletion"] == run.states["disable_team"] == ["skipped"]
    assert run.states["delete_date.delete"] == ["skipped"]
    assert merged_totals(built) == before
    assert enabled_teams(built) == [1, 2, 3]
    [(_, status, reason, _)] = cleanups(built)
    assert status == "rejected"
    assert reason.startswith("rejected by eve")


@pytest.mark.parametrize(
    ("second_person", "user", "deletes"),
    [("true", "dag_test", False), ("true", "eve", True), ("false", "dag_test", True)],
)
def test_whoever_triggers_cannot_approve_where_two_people_are_asked_for(
    built, run_dag, conf, monkeypatch, second_person, user, deletes
):
    """The runs of these tests are triggered by the user dag_test."""
    monkeypatch.setenv("WEB_ANALYTICS_CLEANUP_SECOND_PERSON", second_person)
    before = merged_totals(built)
    with answer("Approve", user):
        run = run_dag(DAG, {**conf, "dry_run": False, "disable_team": True})
    assert run.state == ("success" if deletes else "failed")
    assert (merged_totals(built) == before) is not deletes
    assert enabled_teams(built) == ([1, 3] if deletes else [1, 2, 3])
    assert [row[1] for row in cleanups(built)].count("succeeded") == (3 if deletes else 0)


def test_no_answer_in_time_is_a_rejection(built, run_dag, conf):
    before = merged_totals(built)
    with no_answer_within(ONE_DAY):
        run = run_dag(DAG, {**conf, "dry_run": False})
    assert run.state == "success"
    assert merged_totals(built) == before
    assert "nobody" in cleanups(built)[0][2]


def test_the_team_is_disabled_only_when_asked(built, run_dag, conf):
    with answer("Approve"):
        run = run_dag(DAG, {**conf, "dry_run": False, "disable_team": True})
    assert run.state == "success"
    assert enabled_teams(built) == [1, 3]
    [(changed_by,)] = built.client.execute(
        "SELECT enabled_by FROM web_pre_aggregated_teams FINAL WHERE team_id = 2"
    )
    assert changed_by.startswith("eve")
    assert built.client.execute("SELECT dictHas(web_pre_aggregated_teams_dict, toUInt64(2))") == [(0,)]


def test_a_team_that_is_alone_on_a_day(source, settings, run_dag, days, conf):
    """The day is dropped, since REPLACE from nothing is refused or does nothing."""
    source.enable(2)
    source.visits([2], days(1))
    steps.build_partition(source.clickhouse, settings, days(1)[0], [2])
    with answer("Approve"):
        run = run_dag(DAG, {**conf, "dry_run": False})
    assert run.state == "success"
    assert merged_totals(source.clickhouse) == [[], []]


def test_a_date_that_is_being_built_is_waited_for(built, monkeypatch, run_dag, days, conf):
    from web_analytics.tasks import runtime

    monkeypatch.setattr(runtime, "LOCK_POLL_SECONDS", 1)
    held = locks.acquire(built, days(1)[0], Owner("web_analytics_backfill", "another run"))
    with ClickHouse("clickhouse_default") as other, answer("Approve"):
        release = threading.Timer(6, locks.release, (other, held))
        release.start()
        run = run_dag(DAG, {**conf, "dry_run": False})
        release.join()
    assert run.state == "success"
    assert [row for row in merged_totals(built)[0] if row[0] == 2 and row[1] in days(2)] == []


def test_rows_that_came_after_they_were_shown_are_not_deleted(built, source, settings, run_dag, days, conf):
    """What is approved is what was shown."""

    def add_and_approve(session, task_instance):
        source.visits([2], days(1))
        steps.build_partition(built, settings, days(1)[0], [2])
        answer_now("Approve")(session, task_instance)

    with waiting_for_input(add_and_approve):
        run = run_dag(DAG, {**conf, "dry_run": False, "disable_team": True})
    assert run.state == "failed"
    assert run.states["plan_deletion"] == ["failed"]
    assert enabled_teams(built) == [1, 3], "disabling comes first"
    assert differences_from_oracle(built, days(3), [1, 2, 3]) == []


def test_an_error_is_not_swallowed(built, run_dag, days, conf):
    """The ledger cannot be written, the run fails, and says so."""

    def break_and_approve(session, task_instance):
        built.client.execute("RENAME TABLE web_analytics_backfill_ledger TO ledger_elsewhere")
        answer_now("Approve")(session, task_instance)

    with waiting_for_input(break_and_approve):
        run = run_dag(DAG, {**conf, "dry_run": False, "disable_team": True})
    assert run.state == "failed"
    assert set(run.states["delete_date.delete"]) == {"failed"}
    assert run.states["disable_team"] == ["success"], "it comes first"
    assert run.states["prove"] == ["failed"]
    assert enabled_teams(built) == [1, 3]
    assert {row[1] for row in cleanups(built)} == {"failed", "succeeded"}  # the team was disabled
    assert leftovers(built) == []


def test_nothing_stored_is_nothing_to_delete(built, run_dag, conf):
    run = run_dag(DAG, {**conf, "team_id": 99, "dry_run": False})
    assert run.state == "success"
    assert run.states["approve"] == ["skipped"]


@pytest.mark.parametrize(
    "bad",
    [
        {"date_start": "2026-01-01' OR 1=1 --"},
        {"date_start": "2026-02-01", "date_end": "2026-01-01"},
        {"date_start": "2026-01-01", "date_end": "2026-03-01"},
        {"team_id": -1},
    ],
)
def test_bad_conf_is_refused_before_any_query(built, run_dag, conf, bad):
    """Dates were pasted into SQL."""
    before = fingerprint(built)
    run = None
    with contextlib.suppress(ParamValidationError):  # Airflow refuses some of these before the first task
        run = run_dag(DAG, {**conf, **bad, "dry_run": False})
    assert run is None or run.states["show"] == ["failed"]
    assert fingerprint(built) == before
