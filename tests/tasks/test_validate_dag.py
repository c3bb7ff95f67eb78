"""web_analytics_validate as a whole: real runs of the DAG on the embedded engine."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tests.support import at, states
from web_analytics import validation
from web_analytics.build import cleanup, steps
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import BadSetting
from web_analytics.rules.partitions import ONE_DAY, DateRange

DAG = "web_analytics_validate"
BACKFILL = "web_analytics_backfill"


@pytest.fixture
def built(source, settings, days):
    """Two teams, three days, all built."""
    source.enable(1, 2)
    source.visits([1, 2], days(3))
    for day in days(3):
        steps.build_partition(source.clickhouse, settings, day, [1, 2])
    return source.clickhouse


def validations(clickhouse):
    return clickhouse.client.execute(
        "SELECT partition_date, status, reason, details FROM web_analytics_backfill_log "
        "WHERE kind = 'validation' ORDER BY partition_date DESC"
    )


def test_exact_days_pass_and_are_logged(built, run_dag, days):
    run = run_dag(DAG)
    assert run.state == "success"
    assert len(run.states["validate_day"]) == 7
    rows = validations(built)
    assert [row[0] for row in rows] == days(7)
    assert {row[1] for row in rows} == {"succeeded"}
    assert "exact (2 teams, 12 pageviews; 4 exact)" in rows[0][2]
    assert "nothing to check" in rows[-1][2]


def test_doubled_rows_fail_the_run(built, run_dag, days):
    """A validation that only counts rows sees nothing wrong here."""
    day = days(3)[1]
    built.client.execute(
        "INSERT INTO web_pre_aggregated_bounces SELECT * FROM web_pre_aggregated_bounces "
        f"WHERE toDate(period_bucket) = '{day}' AND team_id = 2"
    )
    built.client.execute("OPTIMIZE TABLE web_pre_aggregated_bounces FINAL")
    rows = "SELECT toDate(period_bucket) AS day, count() FROM web_pre_aggregated_bounces GROUP BY day ORDER BY day"
    assert len({count for _, count in built.client.execute(rows)}) == 1  # the defective check: counting rows

    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["report"] == ["failed"]
    failed = [row for row in validations(built) if row[1] == "failed"]
    assert [row[0] for row in failed] == [day]
    measures = {(each["table_name"], each["measure"]) for each in json.loads(failed[0][3])["differences"]}
    assert ("web_pre_aggregated_bounces", "pageviews") in measures
    assert ("web_pre_aggregated_bounces", "sessions") in measures
    assert ("stats against bounces", "pageviews") in measures
    assert ("web_pre_aggregated_stats", "pageviews") not in measures


def test_the_command_in_the_report_repairs_what_was_found(built, settings, run_dag, days):
    day = days(3)[2]
    built.client.execute(
        "INSERT INTO web_pre_aggregated_stats SELECT * FROM web_pre_aggregated_stats "
        f"WHERE toDate(period_bucket) = '{day}' AND team_id = 1"
    )
    result = validation.check_day(built, settings, day, [1, 2])
    assert (result.verdict, result.team_ids) == ("wrong", [1])
    command = validation.next_command([result])
    assert command.startswith("airflow dags trigger web_analytics_backfill --conf '")
    conf = json.loads(command.split("--conf ")[1].strip("'"))
    assert conf["team_ids"] == [1]

    assert run_dag(BACKFILL, conf).state == "success"
    assert run_dag(DAG).state == "success"


def test_a_missing_day_fails_although_nothing_is_there_to_count(built, run_dag, days):
    """Zero rows were "completed"."""
    day = days(3)[0]
    for table in ("stats", "bounces"):
        built.client.execute(f"ALTER TABLE web_pre_aggregated_{table} DROP PARTITION {day:%Y%m%d}")
    run = run_dag(DAG, {"date_start": day.isoformat(), "date_end": str(day + ONE_DAY)})
    assert run.state == "failed"
    [(_, status, reason, _)] = validations(built)
    assert status == "failed"
    assert "missing (2 teams, 12 pageviews; 4 missing)" in reason


def test_late_events_are_stale_and_no_failure(built, source, run_dag, days):
    day = days(3)[0]
    source.event(1, at(day, 5), ingested=at(day, 30))
    run = run_dag(DAG)
    assert run.state == "success"
    reason = validations(built)[0][2]
    assert f"{day}: stale (2 teams, 13 pageviews; 2 exact, 2 stale)" == reason


def test_late_events_do_not_excuse_what_was_changed_afterwards(built, source, run_dag, days):
    day = days(3)[0]
    source.event(1, at(day, 5), ingested=at(day, 30))
    built.client.execute(
        "INSERT INTO web_pre_aggregated_stats SELECT * FROM web_pre_aggregated_stats "
        f"WHERE toDate(period_bucket) = '{day}' AND team_id = 1"
    )
    assert run_dag(DAG).state == "failed"
    assert "wrong" in validations(built)[0][2]


def test_rows_without_source_are_wrong(built, source, run_dag, days):
    built.client.execute(
        f"ALTER TABLE events DELETE WHERE team_id = 2 AND toDate(timestamp) = '{days(2)[1]}'"
    )
    assert run_dag(DAG, {"team_id": 1}).state == "success"
    assert run_dag(DAG, {"team_id": 2}).state == "failed"


def test_nothing_to_check_is_said(source, run_dag, days):
    source.enable(1)
    run = run_dag(DAG)
    assert run.state == "success"
    rows = validations(source.clickhouse)
    assert len(rows) == 7
    assert all("nothing to check" in row[2] for row in rows)


def test_no_team_and_no_closed_day(source, run_dag, days):
    assert run_dag(DAG).state == "success"
    assert validations(source.clickhouse) == []
    source.enable(1)
    run = run_dag(DAG, {"date_start": "2100-01-01", "date_end": "2100-01-03"})
    assert run.state == "success"
    assert run.states["validate_day"] == ["skipped"]


def test_a_team_that_is_not_selected_is_refused(built, run_dag):
    run = run_dag(DAG, {"team_id": 99})
    assert run.state == "failed"
    assert run.states["choose_days"] == ["failed"]


def test_rows_of_another_bucket_width_are_refused(built, source, run_dag, days):
    """Daily rows beside hourly ones."""
    built.client.execute(
        "INSERT INTO web_pre_aggregated_stats SELECT * REPLACE (period_bucket + INTERVAL 15 MINUTE AS period_bucket) "
        f"FROM web_pre_aggregated_stats WHERE toDate(period_bucket) = '{days(1)[0]}' AND team_id = 1"
    )
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["check_buckets_stats"] == ["failed"]
    assert run.states["check_buckets_bounces"] == ["success"]


def test_a_day_of_another_width_is_found_although_its_totals_are_right(
    source, settings, monkeypatch, run_dag, days
):
    """Hourly rows are aligned to 15 minutes too, and their totals are the same."""
    day = days(1)[0]
    source.enable(1)
    source.event(1, at(day, 5.7))
    steps.build_partition(source.clickhouse, settings, day, [1])
    monkeypatch.setenv("WEB_ANALYTICS_BUCKET_MINUTES", "15")
    run = run_dag(DAG)
    assert run.states["check_buckets_stats"] == ["success"]
    assert run.state == "failed"
    differences = json.loads(validations(source.clickhouse)[0][3])["differences"]
    assert {each["measure"] for each in differences} == {"placement"}


def test_an_altered_table_is_refused(built, run_dag):
    built.client.execute("ALTER TABLE web_pre_aggregated_stats ADD COLUMN extra String")
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["check_schema"] == ["failed"]


def test_merged_people_count_once(source, settings, days):
    """Overrides are applied on both sides; an oracle without them would count 10 people and not 1."""
    source.enable(1)
    source.visits([1], days(1), per_day=10)
    source.clickhouse.client.execute(
        "INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, is_deleted, version) "
        "SELECT 1, concat('visitor-', toString(number)), toUUID('00000000-0000-0000-0000-0000000000ff'), 0, 1 "
        "FROM numbers(10)"
    )
    day = days(1)[0]
    steps.build_partition(source.clickhouse, settings, day, [1])
    parameters = {"date_start": day, "date_end": day + ONE_DAY, "team_ids": [1], "bucket_minutes": 60}

    def persons(people_are_merged):
        names = {"with_people": True, "people_are_merged": people_are_merged}
        return source.clickhouse.query("validation/oracle_posthog", parameters, names)[0]["persons"]

    assert (persons(False), persons(True)) == (10, 1)
    assert validation.check_day(source.clickhouse, settings, day, [1]).verdict == "exact"


def test_too_many_people_are_wrong(built, settings, days):
    day = days(1)[0]
    built.client.execute(
        "INSERT INTO web_pre_aggregated_stats (period_bucket, team_id, persons_uniq_state) "
        f"SELECT toDateTime('{day} 01:00:00', 'UTC'), 1, uniqState(toUUID(concat('00000000-0000-0000-0000-0000000000', "
        "toString(10 + number)))) FROM numbers(20)"
    )
    result = validation.check_day(built, settings, day, [1, 2])
    assert result.verdict == "wrong"
    measures = {(each.table_name, each.measure) for each in result.differences}
    assert measures == {("web_pre_aggregated_stats", "persons"), ("stats against bounces", "persons")}


def test_people_who_were_merged_since_the_build_are_no_fault(source, settings, days):
    day = days(1)[0]
    source.visits([1], [day], per_day=8)
    steps.build_partition(source.clickhouse, settings, day, [1])
    source.clickhouse.client.execute(
        "INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, version) SELECT 1, "
        "concat('visitor-', toString(number)), toUUID('00000000-0000-0000-0000-000000000001'), 1 FROM numbers(8)"
    )
    assert validation.check_day(source.clickhouse, settings, day, [1]).verdict == "exact"
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): ("complete", "complete")}


def test_a_small_day_that_was_never_built_is_no_failure(source, settings, days):
    day, some = days(1)[0], replace(settings, min_daily_pageviews=3)
    source.event(1, at(day))
    result = validation.check_day(source.clickhouse, some, day, [1])
    assert (result.verdict, result.failed, result.team_ids) == ("small", False, [])
    assert validation.check_day(source.clickhouse, settings, day, [1]).verdict == "missing"


def test_events_that_were_deleted_are_stale_and_no_failure(built, settings, days):
    day = days(1)[0]
    built.client.execute(
        "ALTER TABLE events DELETE WHERE team_id = 1 AND uuid = (SELECT max(uuid) FROM events WHERE team_id = 1 AND "
        f"toDate(timestamp) = '{day}') SETTINGS mutations_sync = 2"
    )
    assert validation.check_day(built, settings, day, [1, 2]).verdict == "stale"


def test_what_was_just_built_is_checked(built, settings, days):
    """For the last step of a build."""
    day = days(1)[0]
    validation.raise_if_failed(validation.check_day(built, settings, day, [1, 2]))
    built.client.execute("INSERT INTO web_pre_aggregated_stats SELECT * FROM web_pre_aggregated_stats")
    result = validation.check_day(built, settings, day, [1, 2])
    with pytest.raises(validation.ValidationFailed, match="web_analytics_backfill --conf") as failure:
        validation.raise_if_failed(result)
    assert failure.value.code == "validation_failed"


def test_a_day_that_is_built_while_it_is_compared_is_no_failure(built, source, settings, days, monkeypatch):
    """Between the reading of the tables and that of the source an event arrives, and the day is built with it."""
    day, read, readings = days(1)[0], validation._read_stored, []

    def read_and_build(*arguments):
        found = read(*arguments)
        if not readings:
            source.event(1, at(day, 5))
            steps.build_partition(built, settings, day, [1])
        readings.append(found)
        return found

    monkeypatch.setattr(validation, "_read_stored", read_and_build)
    result = validation.check_day(built, settings, day, [1, 2])
    assert (result.verdict, len(readings)) == ("exact", 2)


def test_a_source_without_oracle_is_a_bad_setting(built, settings, days):
    with pytest.raises(BadSetting, match="include/sql/validation/oracle_other.sql"):
        validation.check_day(built, replace(settings, source="other"), days(1)[0], [1])


def test_the_schema_is_ours(web_analytics_schema):
    validation.check_schema(web_analytics_schema)


def test_only_the_days_that_are_not_exact_are_built_again(days):
    """22 days were to be built for 4 bad ones, and of 150 bad ones 100."""

    def result(day, team_ids):
        return validation.DayResult(str(day), "wrong" if team_ids else "exact", 3, 1, 0, {}, team_ids)

    window = days(22)
    bad = {window[0]: [1], window[1]: [2], window[9]: [1], window[21]: [3]}
    confs = confs_of(validation.next_command([result(day, bad.get(day, [])) for day in window]))
    assert [(conf["date_start"], conf["team_ids"], conf["max_partitions"]) for conf in confs] == [
        (str(window[1]), [1, 2], 2),
        (str(window[9]), [1], 1),
        (str(window[21]), [3], 1),
    ]
    assert all(conf["rebuild"] for conf in confs)
    confs = confs_of(validation.next_command([result(day, [1]) for day in days(150)]))
    assert [conf["max_partitions"] for conf in confs] == [100, 50]
    assert (confs[0]["date_end"], confs[1]["date_start"]) == (str(days(1)[0] + ONE_DAY), str(days(150)[-1]))
    assert validation.next_command([result(day, []) for day in window]) == ""


def confs_of(command):
    return [json.loads(each.split("--conf ")[1].strip("'")) for each in command.split(" && ")]


def test_a_team_that_is_disabled_and_deleted_while_it_is_compared_is_no_failure(built, settings, days):
    day, task = days(1)[0], TaskIdentity(dag_id="web_analytics_cleanup", run_id="cleanup")
    approved = cleanup.stored_days(built, 2, DateRange(day, day + ONE_DAY))
    emptied, fresh = cleanup.prepare(built, settings, task, day, 2)
    cleanup.publish(built, task, emptied, fresh, 2, approved)
    steps.release(built, emptied)
    # As long as it is enabled, what was deleted is missing, and built again.
    assert validation.check_day(built, settings, day, [1, 2]).team_ids == [2]
    cleanup.disable(built, 2, "a person")
    result = validation.check_day(built, settings, day, [1, 2])
    assert (result.verdict, result.teams) == ("exact", 1)
    # Disabled alone, its rows have to be right.
    assert validation.check_day(built, settings, days(2)[1], [1, 2]).verdict == "exact"
    built.client.execute(
        f"DELETE FROM web_pre_aggregated_stats WHERE team_id = 2 AND toDate(period_bucket) = '{days(2)[1]}' "
        "SETTINGS lightweight_deletes_sync = 2"
    )
    assert validation.check_day(built, settings, days(2)[1], [1, 2]).team_ids == [2]


def test_a_day_that_is_being_published_is_compared_when_that_is_done(
    built, source, settings, days, monkeypatch
):
    """The validation begins when one of two tables was replaced, and the publishing goes on once it has looked twice."""
    day = days(3)[0]
    source.visits([1, 2], [day])
    looked, replace_partition, query = threading.Event(), steps.replace_partition, ClickHouse.query
    ledgers = []

    def look(connection, path, *arguments, **more):
        found = query(connection, path, *arguments, **more)
        if path == "validation/ledger_entries":
            ledgers.append(path)
            if len(ledgers) == 2:
                looked.set()
        return found

    def validate():
        with ClickHouse("clickhouse_default") as other:
            return validation.check_day(other, settings, day, [1, 2])

    with ThreadPoolExecutor(1) as pool:
        validations = []

        def replace_and_wait(clickhouse, lock, table, assembled):
            replace_partition(clickhouse, lock, table, assembled)
            if not validations:
                validations.append(pool.submit(validate))
                assert looked.wait(60)

        monkeypatch.setattr(steps, "replace_partition", replace_and_wait)
        monkeypatch.setattr(ClickHouse, "query", look)
        steps.build_partition(built, settings, day, [1, 2])
        assert validations[0].result().verdict == "exact"
