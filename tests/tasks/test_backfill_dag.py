"""web_analytics_backfill as a whole: real runs of the DAG on the embedded engine."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support import at, differences_from_oracle, fingerprint, leftovers, merged_totals

DAG = "web_analytics_backfill"


def decisions(clickhouse):
    return clickhouse.client.execute(
        "SELECT status, reason FROM web_analytics_backfill_log WHERE kind = 'decision' ORDER BY logged_at"
    )


def test_three_missing_pairs_are_built_newest_first(source, run_dag, days):
    source.enable(1, 2)
    built = days(2)
    source.visits([1, 2], built)
    run = run_dag(DAG)

    assert run.state == "success"
    assert run.states["skip_backfill"] == ["skipped"]
    assert run.map_labels["build_date.publish"] == [day.isoformat() for day in built]
    assert differences_from_oracle(source.clickhouse, built, [1, 2]) == []
    assert leftovers(source.clickhouse) == []
    [(status, reason)] = decisions(source.clickhouse)
    assert status == "backfill"
    assert reason == "4 missing partitions reach the threshold 3"


def test_a_second_run_skips_and_changes_no_row(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(3))
    run_dag(DAG)
    before = merged_totals(source.clickhouse)
    run = run_dag(DAG)

    assert run.state == "success"
    assert run.ran("skip_backfill") == 1
    assert set(run.states["build_date.publish"]) == {"skipped"}
    assert merged_totals(source.clickhouse) == before
    assert decisions(source.clickhouse)[-1] == (
        "skip",
        "0 missing partitions (threshold 3): no day is missing",
    )


def test_two_young_missing_pairs_wait(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(1))
    run = run_dag(DAG)
    assert run.ran("skip_backfill") == 1
    assert source.clickhouse.client.execute("SELECT count() FROM web_pre_aggregated_stats") == [(0,)]


def test_the_0200_run_builds_the_newest_closed_day_all_the_same(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(1))
    run = run_dag(DAG, logical_date=at(days(1)[0] + timedelta(days=1), 2))
    assert run.map_labels["build_date.publish"] == [days(1)[0].isoformat()]
    assert differences_from_oracle(source.clickhouse, days(1), [1]) == []


@pytest.mark.slow
def test_the_limit_leaves_the_oldest_dates_to_the_next_run(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(5), per_day=1)
    first = run_dag(DAG, {"max_partitions": 3})
    assert first.map_labels["build_date.publish"] == [day.isoformat() for day in days(5)[:3]]
    second = run_dag(DAG, {"max_partitions": 3})
    assert second.map_labels["build_date.publish"] == [day.isoformat() for day in days(5)[3:]]
    assert differences_from_oracle(source.clickhouse, days(5), [1]) == []


def test_a_dry_run_changes_nothing(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(3))
    before = fingerprint(source.clickhouse)
    run = run_dag(DAG, {"dry_run": True})
    assert run.state == "success"
    assert run.ran("plan") == 1
    assert fingerprint(source.clickhouse) == before


def test_what_was_built_is_validated_against_the_raw_events(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(2))
    run = run_dag(DAG)
    assert run.states["build_date.validate"] == ["success", "success"]
    rows = source.clickhouse.client.execute(
        "SELECT partition_date, status FROM web_analytics_backfill_log WHERE kind = 'validation' ORDER BY 1 DESC"
    )
    assert rows == [(day, "succeeded") for day in days(2)]


def test_a_validation_that_fails_fails_the_run(source, run_dag, days, monkeypatch, tmp_path):
    """The oracle is made to expect one pageview more than there is."""
    from web_analytics.clickhouse import sql

    oracle = tmp_path / "validation" / "oracle_posthog.sql"
    oracle.parent.mkdir()
    text = (sql.SQL_ROOT / "validation" / "oracle_posthog.sql").read_text()
    assert text.count("sumIf(visits.pageviews, session != '') AS pageviews") == 1
    oracle.write_text(
        text.replace(
            "sumIf(visits.pageviews, session != '') AS pageviews",
            "sumIf(visits.pageviews, session != '') + 1 AS pageviews",
        )
    )
    monkeypatch.setenv("WEB_ANALYTICS_SQL_DIR", str(tmp_path))
    source.enable(1)
    source.visits([1], days(2))
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["build_date.validate"] == ["failed", "failed"]
    assert run.states["summarise"] == ["failed"]
    assert leftovers(source.clickhouse) == []


@pytest.mark.slow
def test_rebuild_takes_every_date_of_the_range(source, run_dag, days):
    source.enable(1)
    source.visits([1], days(3))
    run_dag(DAG)
    start, end = days(3)[-1], days(3)[0]
    run = run_dag(DAG, {"date_start": start.isoformat(), "date_end": end.isoformat(), "rebuild": True})
    assert run.map_labels["build_date.publish"] == [day.isoformat() for day in days(3)[1:]]
    assert differences_from_oracle(source.clickhouse, days(3), [1]) == []
