"""What a backfill is estimated to cost, its budget, and what it did cost: real runs of the DAG."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

import pytest

from tests.people import answer, answer_now, no_answer_within, waiting_for_input
from tests.support import differences_from_oracle, fingerprint
from web_analytics.api.coverage import content, progress
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.wiring.approval import COST_ANSWER_WITHIN

DAG = "web_analytics_backfill"


@pytest.fixture
def missing(source, days):
    """Five missing days of one team."""
    source.enable(1)
    source.visits([1], days(5), per_day=2)
    return source.clickhouse


def decision(clickhouse) -> dict:
    """The newest."""
    [(reason, details)] = clickhouse.client.execute(
        "SELECT reason, details FROM web_analytics_backfill_log WHERE kind = 'decision' ORDER BY logged_at DESC LIMIT 1"
    )
    return {**json.loads(details), "reason": reason}


def rows_read(clickhouse) -> dict[str, int]:
    """What building and validating each date has read."""
    return dict(
        clickhouse.client.execute(
            "SELECT toString(assumeNotNull(partition_date)), sum(rows_read) FROM web_analytics_backfill_log "
            "WHERE kind IN ('attempt', 'validation') GROUP BY partition_date"
        )
    )


def built_by(run) -> list[str]:
    return run.map_labels["build_date.publish"]


def note_of(run) -> str:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return (
            session.scalars(select(DagRun).where(DagRun.dag_id == DAG, DagRun.run_id == run.run_id))
            .one()
            .note
        )


@pytest.mark.slow
def test_a_budget_takes_the_newest_dates_and_leaves_the_others_to_the_next_run(missing, run_dag, days):
    run_dag(DAG, {"max_partitions": 1})
    budget = int(2.5 * rows_read(missing)[str(days(1)[0])])
    first = run_dag(DAG, {"max_rows": budget, "min_missing_partitions": 1})
    assert "approve" not in first.states
    told = decision(missing)
    assert built_by(first) == [str(day) for day in days(5)[1:3]]
    assert [each["date"] for each in told["estimates"]] == built_by(first)
    assert told["dates_left"] == 2
    assert f"the budget of {budget:,} rows holds the first 2" in told["reason"]
    assert "leaves 2 dates to the next run" in told["reason"]

    second = run_dag(DAG, {"max_rows": budget, "min_missing_partitions": 1})
    assert built_by(second) == [str(day) for day in days(5)[3:]]
    assert differences_from_oracle(missing, days(5), [1]) == []


def test_the_newest_date_is_built_also_where_it_alone_is_above_the_budget(
    missing, run_dag, days, monkeypatch
):
    monkeypatch.setenv("WEB_ANALYTICS_MAX_ROWS_PER_RUN", "1")
    run = run_dag(DAG)
    assert built_by(run) == [str(days(1)[0])]
    assert f"{days(1)[0]} alone is above the budget of 1 rows" in decision(missing)["reason"]
    # It has succeeded, and all the same its note says what it left out.
    assert note_of(run) == f"Remark: {decision(missing)['remark']}"
    assert "4 dates left to the next run" in note_of(run)


@pytest.mark.slow
def test_the_estimate_learns_from_what_builds_took(missing, run_dag, days, caplog):
    """Of the first builds nothing but rows is estimated, and those roughly; of the next, whose days are alike, closely."""
    with caplog.at_level(logging.INFO):
        run_dag(DAG, {"max_partitions": 2})
    first = decision(missing)["estimates"]
    assert all(each["rows"] > 0 and each["bytes"] is None and each["seconds"] is None for each in first)
    assert "Estimated and real cost" in caplog.text
    query_ids = re.findall(r" query_id (\S+)", caplog.text)
    assert len(query_ids) > 20
    assert len(set(query_ids)) == len(query_ids), "two queries of one task have one id"

    run_dag(DAG, {"max_partitions": 2})
    second = decision(missing)["estimates"]
    real = rows_read(missing)
    for each in second:
        assert each["rows"] == pytest.approx(real[each["date"]], rel=0.2)
        assert each["bytes"] > each["rows"]
        assert each["seconds"] > 0


@pytest.mark.slow
def test_a_dry_run_estimates_what_the_run_would(missing, run_dag, days, caplog):
    before = fingerprint(missing)
    with caplog.at_level(logging.INFO):
        dry = run_dag(DAG, {"dry_run": True, "max_rows": 1})
    assert dry.ran("plan") == 1
    assert fingerprint(missing) == before
    assert f"{days(1)[0]} alone is above the budget of 1 rows" in caplog.text
    [table] = [text for text in caplog.messages if "What it would cost:" in text]
    run_dag(DAG, {"max_rows": 1})
    [estimated] = decision(missing)["estimates"]
    assert [line.split()[:2] for line in table.splitlines()[-2:]] == [
        [str(days(1)[0]), str(estimated["rows"])],
        ["total", str(estimated["rows"])],
    ]


def test_only_teams_that_lack_a_date_are_estimated(source, run_dag, days):
    source.enable(1, 2)
    source.visits([1, 2], days(1), per_day=9)
    run_dag(DAG, {"team_ids": [1], "min_missing_partitions": 1})
    source.clickhouse.client.execute(
        "INSERT INTO events SELECT e.* REPLACE (generateUUIDv4() AS uuid) FROM events AS e CROSS JOIN numbers(1000) AS n "
        "WHERE team_id = 1"
    )
    run_dag(DAG, {"min_missing_partitions": 1})
    [estimated] = decision(source.clickhouse)["estimates"]
    assert estimated["source_rows"] < source.clickhouse.client.execute("SELECT count() FROM events")[0][0] / 2


@pytest.mark.slow
def test_below_the_bound_nobody_is_asked(missing, run_dag, days, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_APPROVE_ABOVE_ROWS", str(10**9))
    run = run_dag(DAG, {"max_partitions": 2})
    assert run.states["approve"] == ["skipped"]
    assert built_by(run) == [str(day) for day in days(2)]


def test_above_it_the_run_waits_for_a_person(missing, run_dag, days, monkeypatch, settings):
    """The page knows that it waits."""
    monkeypatch.setenv("WEB_ANALYTICS_APPROVE_ABOVE_ROWS", "1")
    waited = []

    def waits():
        with ClickHouse("clickhouse_default") as clickhouse:
            told = progress.read_status(clickhouse, settings, "", datetime.now(UTC))
        return [build["waits_for_approval"] for build in told["builds"]]

    def look_and_approve(session, task_instance):
        waited.append(waits())
        answer_now("Approve")(session, task_instance)

    with waiting_for_input(look_and_approve):
        run = run_dag(DAG, {"max_partitions": 2})
    assert waited[0] == [True]
    assert waits() == [False]
    assert run.state == "success"
    assert built_by(run) == [str(day) for day in days(2)]
    assert differences_from_oracle(missing, days(2), [1]) == []
    newest = content.read_decisions(missing)[0]
    assert newest["reason"].endswith("approved by eve (id eve)")
    assert "a person is asked to approve about" in newest["reason"]
    assert newest["estimated_rows"] > 0
    assert newest["rows_read"] == sum(rows_read(missing).values())


@pytest.mark.parametrize(
    ("answered", "by"),
    [
        (lambda: answer("Reject"), "eve"),
        (lambda: no_answer_within(COST_ANSWER_WITHIN), "nobody, the time for an answer passed"),
    ],
)
def test_without_approval_nothing_is_built_and_the_run_says_so(
    missing, run_dag, monkeypatch, answered, by, settings
):
    monkeypatch.setenv("WEB_ANALYTICS_APPROVE_ABOVE_ROWS", "1")
    before = fingerprint(missing)["web_pre_aggregated_stats"]
    with answered():
        run = run_dag(DAG)
    assert run.state == "success"
    assert run.states["plan"] == ["skipped"]
    assert fingerprint(missing)["web_pre_aggregated_stats"] == before
    said = f"not approved by {by}"
    newest = content.read_decisions(missing)[0]
    assert (newest["status"], newest["dates"], newest["dates_left"]) == ("skip", [], 5)
    assert said in newest["reason"]
    assert said in note_of(run)
    assert progress.read_status(missing, settings, "", datetime.now(UTC))["builds"] == []


def test_a_dag_file_that_was_parsed_without_the_setting_is_told(missing, run_dag, monkeypatch):
    """The worker has it, so nothing is built that nobody has approved."""
    from web_analytics.wiring import approval

    monkeypatch.setenv("WEB_ANALYTICS_APPROVE_ABOVE_ROWS", "1")
    monkeypatch.setattr(approval, "cost_is_approved", lambda: False)
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["decide"] == ["failed"]
    assert "the same value where DAG files are parsed as for the workers" in note_of(run)
