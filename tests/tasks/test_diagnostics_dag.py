"""web_analytics_diagnostics as a whole: real runs of the DAG on the embedded engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import at, fingerprint
from web_analytics.build import steps
from web_analytics.rules.partitions import ONE_DAY

DAG = "web_analytics_diagnostics"
STATS, BOUNCES = "web_pre_aggregated_stats", "web_pre_aggregated_bounces"


def result_of(run, task_id: str):
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        row = session.scalars(
            XComModel.get_many(run_id=run.run_id, key="return_value", task_ids=task_id, dag_ids=DAG)
        ).one()
        return XComModel.deserialize_value(row)


def listed(report) -> set[tuple]:
    return {
        (gap["table_name"], gap["team_id"], gap["kind"], gap["date_start"], gap["days"])
        for gap in report["gaps"]
    }


@pytest.fixture
def gappy(source, settings, days):
    """Team 1: two days missing together, one missing in bounces alone, one stale; team 2 complete; team 3 idle."""
    day = days(6)
    source.enable(1, 2, 3)
    source.visits([1, 2], day)
    for each in day:
        steps.build_partition(source.clickhouse, settings, each, [2] if each in day[1:3] else [1, 2])
    source.clickhouse.client.execute(
        f"DELETE FROM {BOUNCES} WHERE team_id = 1 AND toDate(period_bucket) = '{day[4]}'"
    )
    source.event(1, at(day[5], 5), ingested=datetime.now(UTC) + timedelta(minutes=1))
    return source


def test_gaps_are_listed_as_ranges_with_their_kind_and_nothing_is_written(gappy, run_dag, days):
    day = [each.isoformat() for each in days(6)]
    before = fingerprint(gappy.clickhouse)
    run = run_dag(DAG, {"days_back": 8})
    assert run.state == "success"
    assert fingerprint(gappy.clickhouse) == before

    report = result_of(run, "show_data_gaps")
    assert f"Of 1 team-days the rows are gone since they were built: team 1 {day[4]}." in report["summary"]
    assert {
        (STATS, 1, "missing", day[2], 2),
        (BOUNCES, 1, "missing", day[2], 2),
        (BOUNCES, 1, "missing", day[4], 1),
        (STATS, 1, "stale", day[5], 1),
        (BOUNCES, 1, "stale", day[5], 1),
    } == {each for each in listed(report) if each[2] not in ("idle", "open")}
    kinds = [gap["kind"] in ("idle", "open", "small") for gap in report["gaps"]]
    assert kinds == sorted(kinds), "gaps come first"
    assert {each[1] for each in listed(report) if each[2] == "idle"} == {1, 2, 3}
    assert report["teams_with_gaps"] == 1
    [both] = [gap for gap in report["gaps"] if gap["table_name"] == STATS and gap["kind"] == "missing"]
    assert both["source_pageviews"] == 12
    assert both["age_hours"] >= 24

    checked = result_of(run, "check_missing_data")
    assert checked["tables"][STATS]["missing"] == 2
    assert checked["tables"][BOUNCES]["missing"] == 3
    assert checked["tables"][BOUNCES]["oldest_gap"] == day[5]
    assert checked["decisions"]["6-hourly"]["reason"] == "5 missing partitions reach the threshold 3"
    assert checked["decisions"]["02:00"]["dates"] == [day[1], day[2], day[4], day[5]]


@pytest.mark.slow
def test_the_commands_fill_what_was_listed(gappy, run_dag):
    report = result_of(run_dag(DAG), "show_data_gaps")
    conf = json.loads(report["command"].split("--conf ")[1].strip("'"))
    assert run_dag("web_analytics_backfill", conf).state == "success"
    after = result_of(run_dag(DAG), "show_data_gaps")
    assert after["teams_with_gaps"] == 0
    assert after["command"] == ""


def builds(clickhouse) -> dict[tuple, str]:
    rows = clickhouse.client.execute(
        "SELECT table_name, team_id, partition_date, build FROM web_analytics_backfill_ledger FINAL"
    )
    return {tuple(key): build for *key, build in rows}


def test_each_single_command_fills_its_range_and_nothing_else(gappy, run_dag, days):
    before = builds(gappy.clickhouse)
    [stale] = [
        gap
        for gap in result_of(run_dag(DAG), "show_data_gaps")["gaps"]
        if (gap["kind"], gap["table_name"]) == ("stale", STATS)
    ]
    conf = json.loads(stale["command"].split("--conf ")[1].strip("'"))
    assert run_dag("web_analytics_backfill", conf).state == "success"
    left = listed(result_of(run_dag(DAG), "show_data_gaps"))
    assert {each[2] for each in left} == {"missing", "idle"} | ({"open"} & {each[2] for each in left})
    after = builds(gappy.clickhouse)
    built = {key for key in after if after[key] != before.get(key)}
    assert built == {(table, 1, days(6)[5]) for table in (STATS, BOUNCES)}


@pytest.mark.slow
def test_the_command_for_stale_days_alone_leaves_complete_days_between_them(source, settings, run_dag, days):
    """Young ones: the rule would let them wait."""
    day = days(3)
    source.enable(1, 2)
    source.visits([1, 2], day)
    for each in day:
        steps.build_partition(source.clickhouse, settings, each, [1, 2])
    for each in (day[0], day[2]):
        source.event(1, at(each, 5), ingested=datetime.now(UTC) + timedelta(minutes=1))
    before = builds(source.clickhouse)
    command = result_of(run_dag(DAG), "show_data_gaps")["command"]
    run = run_dag("web_analytics_backfill", json.loads(command.split("--conf ")[1].strip("'")))
    assert run.state == "success"
    after = builds(source.clickhouse)
    built = {key[1:] for key in after if after[key] != before[key]}
    assert built == {(1, day[0]), (1, day[2])}


def test_only_the_named_teams(gappy, run_dag):
    report = result_of(run_dag(DAG, {"team_ids": [2]}), "show_data_gaps")
    assert {each[1] for each in listed(report)} <= {2}
    assert run_dag(DAG, {"team_ids": [99]}).states["show_data_gaps"] == ["failed"]


def test_the_current_day_is_open(source, run_dag):
    source.enable(1)
    now = datetime.now(UTC)
    source.event(1, now.replace(hour=0, minute=0, second=1, microsecond=0))
    report = result_of(run_dag(DAG), "show_data_gaps")
    assert (STATS, 1, "open", now.date().isoformat(), 1) in listed(report)


def test_no_team_is_no_error(source, run_dag):
    run = run_dag(DAG)
    assert run.state == "success"
    assert result_of(run, "show_data_gaps")["gaps"] == []
    assert result_of(run, "check_missing_data")["tables"][STATS]["missing"] == 0


def test_a_failed_query_fails_the_task(gappy, run_dag):
    """A failed query counted as nothing missing."""
    gappy.clickhouse.client.execute("DROP VIEW web_analytics_source_events")
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states == {"check_missing_data": ["failed"], "show_data_gaps": ["failed"]}


def test_a_connection_that_may_only_read_is_enough(gappy, run_dag, clickhouse_server, monkeypatch):
    import os

    connection = os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"]
    host, _, database = connection.partition("?")[0].removeprefix("clickhouse://default:@").partition("/")
    over_http = {"protocol": "http"} if getattr(clickhouse_server, "speaks_http", False) else {}
    monkeypatch.setenv(
        "AIRFLOW_CONN_CLICKHOUSE_DEFAULT",
        json.dumps(
            {
                "conn_type": "clickhouse",
                "host": host.split(":")[0],
                "port": int(host.split(":")[1]),
                "login": "default",
                "schema": database,
                "extra": {"settings": {"readonly": 2}, **over_http},
            }
        ),
    )
    assert run_dag(DAG).state == "success"
    assert run_dag("web_analytics_backfill", {"min_missing_partitions": 1}).states["detect"] == ["failed"]


def test_few_teams_are_listed_where_many_have_gaps(source, run_dag, days, monkeypatch):
    from web_analytics.tasks import diagnostics

    monkeypatch.setattr(diagnostics, "MAX_TEAMS", 2)
    source.enable(*range(1, 6))
    source.visits(list(range(1, 6)), days(1))
    source.visits([4], [days(2)[1]])
    report = result_of(run_dag(DAG), "show_data_gaps")
    assert {each[1] for each in listed(report)} == {1, 4}
    assert report["teams_with_gaps"] == 5
    assert "The 2 worst teams are listed, 3 are not" in report["summary"]


def test_the_start_date_of_the_partitions_is_a_limit(source, run_dag, days, monkeypatch):
    source.enable(1)
    source.visits([1], days(4), per_day=1)
    monkeypatch.setenv("WEB_ANALYTICS_PARTITIONS_START_DATE", str(days(2)[1]))
    report = result_of(run_dag(DAG), "show_data_gaps")
    assert (STATS, 1, "missing", days(2)[1].isoformat(), 2) in listed(report)
    assert days(1)[0] + ONE_DAY == datetime.fromisoformat(report["date_end"]).date()
