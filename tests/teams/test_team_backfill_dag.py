"""web_analytics_team_backfill: whoever starts it, each enabled team is backfilled once, and only with what it lacks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import ParamValidationError

from tests.support import at, differences_from_oracle, fingerprint, leftovers, states
from web_analytics.build.steps import build_partition
from web_analytics.conf import TeamBackfillConf
from web_analytics.detection import detector
from web_analytics.errors import BadSetting
from web_analytics.rules.partitions import lookback, newest_first
from web_analytics.rules.states import COMPLETE, MISSING
from web_analytics.settings import Settings
from web_analytics.tasks.team_backfill import choose_periods
from web_analytics.teams import first_backfills, registry
from web_analytics.teams.first_backfills import before_selection
from web_analytics.teams.registry import Registration

DAG = "web_analytics_team_backfill"
GROUP = "build_date.publish"


@pytest.fixture(autouse=True)
def settings(monkeypatch) -> Settings:
    """A day is closed when it ends, so that yesterday always is, whatever the hour."""
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_SETTLING_MINUTES", "0")
    return Settings.load()


@pytest.fixture
def days():
    """``days(n)``: the n last complete UTC days, newest first."""
    return lambda count: newest_first(lookback(datetime.now(UTC).date(), count))


def state_of(source, team_id: int) -> str | None:
    found = first_backfills.read(source.clickhouse).get(team_id)
    return found and found.state


def enable(source, *team_ids: int, enabled: bool = True, backfill_days: int = 2) -> None:
    source.clickhouse.client.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, enabled, backfill_days) VALUES",
        [(team_id, enabled, backfill_days) for team_id in team_ids],
    )


def labels(days):
    return [day.isoformat() for day in days]


@pytest.mark.slow
def test_one_run_takes_every_waiting_team_and_a_second_finds_nobody(source, run_dag, days):
    enable(source, 1, 2)
    enable(source, 4, enabled=False)
    source.visits([1, 2, 3, 4], days(4), per_day=1)
    first = run_dag(DAG)
    assert first.state == "success"
    assert first.map_labels[GROUP] == labels(days(2))
    assert differences_from_oracle(source.clickhouse, days(2), [1, 2]) == []
    assert differences_from_oracle(source.clickhouse, days(2), [3])
    assert [state_of(source, team_id) for team_id in (1, 2, 3, 4)] == ["succeeded", "succeeded", None, None]
    assert leftovers(source.clickhouse) == []

    before = fingerprint(source.clickhouse)
    second = run_dag(DAG)
    assert second.state == "success"
    assert second.ran(GROUP) == 0
    assert fingerprint(source.clickhouse) == before


def test_a_burst_of_fifty_is_one_run(source, run_dag, days):
    """Of a list of ids only the last team was looked at."""
    teams = list(range(1, 51))
    enable(source, *teams)
    source.visits(teams, days(3), per_day=1)
    run = run_dag(DAG)
    assert run.state == "success"
    assert run.ran(GROUP) == 2
    assert differences_from_oracle(source.clickhouse, days(2), teams) == []
    assert {state_of(source, team_id) for team_id in teams} == {"succeeded"}


def test_a_date_that_another_run_builds_meanwhile_is_not_built_again(
    source, run_dag, days, settings, monkeypatch
):
    newest, before = days(2)
    enable(source, 1)
    source.visits([1], [newest, before], per_day=1)
    planned_teams = detector.planned_teams

    def another_run_was_faster(clickhouse, plan_id, partition_date):
        if partition_date == newest:
            # It has read more than the plan knew of.
            source.event(1, at(newest, 20), ingested=datetime.now(UTC))
            build_partition(source.clickhouse, settings, newest, [1])
        return planned_teams(clickhouse, plan_id, partition_date)

    monkeypatch.setattr(detector, "planned_teams", another_run_was_faster)
    run = run_dag(DAG)
    assert run.state == "success"
    assert run.states[GROUP] == ["skipped", "success"]
    assert differences_from_oracle(source.clickhouse, [newest, before], [1]) == []
    assert state_of(source, 1) == "succeeded"


@pytest.mark.slow
def test_each_team_has_its_own_period_in_its_own_time_zone(source, run_dag, days, settings, admin):
    """One set of dates for all teams, and local days in the wrong partitions."""
    admin.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, timezone, backfill_days) VALUES",
        [(1, "UTC", 2), (2, "Asia/Tokyo", 2), (3, "America/New_York", 3)],
    )
    source.visits([1, 2, 3], days(6), per_day=1)
    assert run_dag(DAG).state == "success"
    now = datetime.now(UTC)
    zones = {1: ("UTC", 2), 2: ("Asia/Tokyo", 2), 3: ("America/New_York", 3)}
    for team_id, (zone, count) in zones.items():
        registered = {team_id: {"timezone": zone, "backfill_days": count}}
        conf = TeamBackfillConf.parse({}, settings)
        expected = set(choose_periods(registered, settings, conf, [team_id], now).dates[team_id])
        built = {
            day for (_, day), state in states(source.clickhouse, settings, days(6), [team_id]).items()
            if state == (COMPLETE, COMPLETE)
        }  # fmt: skip
        assert built == expected, zone


@pytest.mark.slow
def test_a_team_that_comes_back_gets_only_what_it_lacks(source, run_dag, days, admin, settings):
    enable(source, 1)
    source.visits([1], days(2), per_day=1)
    assert run_dag(DAG).ran(GROUP) == 2
    enable(source, 1, enabled=False)
    assert run_dag(DAG).ran(GROUP) == 0
    assert state_of(source, 1) == "left"
    lost = days(2)[1]
    admin.execute("ALTER TABLE web_pre_aggregated_stats DROP PARTITION ID %(id)s", {"id": f"{lost:%Y%m%d}"})
    enable(source, 1)
    again = run_dag(DAG)
    assert again.map_labels[GROUP] == [lost.isoformat()]
    assert differences_from_oracle(source.clickhouse, days(2), [1]) == []
    assert state_of(source, 1) == "succeeded"


def test_a_team_registered_without_a_period_gets_that_of_the_setting(source, run_dag, days, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_DAYS", "3")
    source.enable(1)
    source.visits([1], days(9), per_day=1)
    assert run_dag(DAG).map_labels[GROUP] == labels(days(3))


def test_by_conf_one_team_also_when_it_was_backfilled_before(source, run_dag, days):
    enable(source, 1, 2)
    source.visits([1, 2], days(3), per_day=1)
    run = run_dag(DAG, {"team_id": 1, "backfill_days": 1})
    assert run.map_labels[GROUP] == labels(days(1))
    assert [state_of(source, team_id) for team_id in (1, 2)] == ["succeeded", None]
    again = run_dag(DAG, {"team_id": 1, "backfill_days": 3})
    assert again.map_labels[GROUP] == labels(days(3)[1:])
    assert differences_from_oracle(source.clickhouse, days(3), [1]) == []


@pytest.mark.parametrize(
    ("conf", "environment", "sentence"),
    [
        (
            {"team_id": 9},
            {},
            "team_id is 9; accepted: a team that is registered, or given by another strategy",
        ),
        (
            {"team_id": 2},
            {},
            "team_id is 2; accepted: an enabled team; enable it with PUT /web-analytics/teams/2",
        ),
        ({"team_id": 1}, {"WEB_ANALYTICS_ROLLOUT_PERCENT": "0"}, "this one is enabled, but not selected"),
        (
            {"team": 1},
            {},
            "team is 1; accepted: only the parameters team_id, backfill_days, max_rows, dry_run",
        ),
        ({}, {"WEB_ANALYTICS_BACKFILL_DAYS": "31"}, "WEB_ANALYTICS_BACKFILL_DAYS is '31'"),
    ],
)
def test_what_is_refused(source, run_dag, monkeypatch, caplog, conf, environment, sentence):
    enable(source, 1)
    enable(source, 2, enabled=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = fingerprint(source.clickhouse)
    assert run_dag(DAG, conf).state == "failed"
    assert sentence in caplog.text
    assert fingerprint(source.clickhouse) == before


@pytest.mark.parametrize(
    "conf",
    [
        {"team_id": -1},
        {"team_id": "1"},
        {"team_id": True},
        {"backfill_days": 0},
        {"backfill_days": 1.5},
        {"max_rows": -1},
        {"dry_run": 1},
    ],
)
def test_what_the_params_refuse_before_there_is_a_run(source, run_dag, conf):
    before = fingerprint(source.clickhouse)
    with pytest.raises(ParamValidationError, match=next(iter(conf))):
        run_dag(DAG, conf)
    with pytest.raises(BadSetting, match=next(iter(conf))):
        TeamBackfillConf.parse(conf, Settings.load())
    assert fingerprint(source.clickhouse) == before


def test_more_than_thirty_days_are_thirty_with_a_message(source, run_dag, days, caplog, settings):
    enable(source, 1)
    source.visits([1], [days(40)[29], days(40)[32]], per_day=1)
    run = run_dag(DAG, {"team_id": 1, "backfill_days": 90})
    assert run.map_labels[GROUP] == [days(40)[29].isoformat()]
    assert "Team 1 asks for 90 days; a team's first backfill goes back 30 days at most." in caplog.text


def test_a_dry_run_prints_the_plan_and_changes_nothing(source, run_dag, days, settings, caplog):
    enable(source, 1)
    source.visits([1], days(5), per_day=4)
    build_partition(source.clickhouse, settings, days(5)[1], [1])
    before = fingerprint(source.clickhouse)
    run = run_dag(DAG, {"team_id": 1, "backfill_days": 5, "dry_run": True})
    assert run.state == "success"
    assert run.ran(GROUP) == 0
    assert fingerprint(source.clickhouse) == before
    output = caplog.text
    plan = {
        line.split()[0]: line.split()[1:]
        for line in output.splitlines()
        if line[:5] == "2026-" or line[:4] == "20"
    }
    for day in days(5):
        exists, to_build, rows, *_ = plan[day.isoformat()]
        assert (exists, to_build) == (("1", "0") if day == days(5)[1] else ("0", "1"))
        assert (int(rows) > 0) == (to_build == "1")


def test_a_budget_takes_the_newest_days_and_the_next_run_takes_the_team_again(source, run_dag, days):
    enable(source, 1, backfill_days=3)
    enable(source, 2, backfill_days=1)
    source.visits([1], days(3), per_day=1)
    source.visits([2], days(1), per_day=1)
    first = run_dag(DAG, {"max_rows": 1})
    assert (first.state, first.map_labels[GROUP]) == ("success", labels(days(1)))
    assert (state_of(source, 1), state_of(source, 2)) == ("started", "succeeded")
    reason = first_backfills.read(source.clickhouse)[1].reason
    assert reason == f"left out for what they cost: {', '.join(labels(days(3)[1:]))}"
    # Whoever looks for waiting teams finds it.
    second = run_dag(DAG)
    assert second.map_labels[GROUP] == labels(days(3)[1:])
    assert state_of(source, 1) == "succeeded"
    assert differences_from_oracle(source.clickhouse, days(3), [1, 2]) == []


@pytest.mark.slow
def test_what_a_person_has_to_approve_is_left_to_the_backfill_that_asks(
    source, run_dag, days, monkeypatch, caplog
):
    monkeypatch.setenv("WEB_ANALYTICS_APPROVE_ABOVE_ROWS", "1")
    enable(source, 1)
    source.visits([1], days(2), per_day=1)
    run_dag(DAG, {"dry_run": True})
    run = run_dag(DAG)
    said = f"{', '.join(labels(days(2)))} are above WEB_ANALYTICS_APPROVE_ABOVE_ROWS 1 alone, and left to web_analytics_backfill"
    assert caplog.text.count(said) >= 2
    assert (run.state, run.ran(GROUP)) == ("success", 0)
    assert set(states(source.clickhouse, Settings.load(), days(2), [1]).values()) == {(MISSING, MISSING)}
    assert state_of(source, 1) == "started"
    # As when somebody has approved it there.
    for day in days(2):
        build_partition(source.clickhouse, Settings.load(), day, [1])
    assert run_dag(DAG).state == "success"
    assert state_of(source, 1) == "succeeded"


def test_a_dry_run_says_whom_it_cannot_take(source, run_dag, days, admin, caplog):
    admin.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, timezone) VALUES", [(1, "Mars/Olympus"), (2, "UTC")]
    )
    before = fingerprint(source.clickhouse)
    assert run_dag(DAG, {"dry_run": True}).state == "success"
    assert "Team 1 cannot be backfilled: it has the time zone 'Mars/Olympus'" in caplog.text
    assert fingerprint(source.clickhouse) == before


def test_a_bad_zone_fails_its_team_and_not_the_others(source, run_dag, days, admin, caplog):
    admin.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, timezone) VALUES", [(1, "Mars/Olympus"), (2, "UTC")]
    )
    source.visits([1, 2], days(1), per_day=1)
    run = run_dag(DAG)
    assert run.state == "failed"
    assert run.states["summarise"] == ["failed"]
    assert "team 1 has the time zone 'Mars/Olympus'" in caplog.text
    assert differences_from_oracle(source.clickhouse, days(1), [2]) == []
    assert (state_of(source, 1), state_of(source, 2)) == ("failed", "succeeded")


def test_a_date_that_fails_leaves_its_teams_waiting(source, run_dag, days, admin):
    """Only those teams: the others' days are their own."""
    enable(source, 1, 2)
    source.visits([1], days(2), per_day=1)
    source.visits([2], days(1), per_day=1)
    broken = days(2)[1]
    admin.execute(
        f"CREATE TABLE web_analytics_lock_{broken:%Y%m%d} (renewed_at DateTime) ENGINE = Memory "
        "COMMENT 'not a lock'"
    )
    run = run_dag(DAG)
    assert run.state == "failed"
    assert (state_of(source, 1), state_of(source, 2)) == ("failed", "succeeded")
    admin.execute(f"DROP TABLE web_analytics_lock_{broken:%Y%m%d}")
    assert run_dag(DAG).map_labels[GROUP] == [broken.isoformat()]
    assert state_of(source, 1) == "succeeded"
    assert differences_from_oracle(source.clickhouse, days(2), [1, 2]) == []


def test_who_leaves_while_a_run_is_at_work_is_not_taken_for_backfilled(source):
    """The run finishes with the state of the instant it started at; leaving is newer."""
    clickhouse = source.clickhouse
    period = {1: first_backfills.NO_DATES, 2: first_backfills.NO_DATES}
    first_backfills.start(clickhouse, period, {}, "run", before_selection(clickhouse))
    taken = first_backfills.taken_by(first_backfills.read(clickhouse).values(), "run")
    first_backfills.mark_left(clickhouse, [1], before_selection(clickhouse))
    first_backfills.finish(clickhouse, taken, {}, {}, {})
    assert (state_of(source, 1), state_of(source, 2)) == ("left", "succeeded")
    found = first_backfills.look_and_mark(clickhouse, [1, 2], before_selection(clickhouse))
    assert found == first_backfills.Look(pending=frozenset([1]), left=frozenset())


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=-1), timedelta(days=1)])
def test_states_follow_on_each_other_whatever_the_clocks_say(source, ahead):
    """The clock of whoever wrote the last state was ahead of this process's: of another host, or before it was put back."""
    clickhouse = source.clickhouse

    def record(state: str) -> None:
        version = datetime.now(UTC) + ahead
        team = first_backfills.TeamBackfill(1, state, first_backfills.NO_DATES, "", "", version)
        first_backfills.record(clickhouse, [team])

    def begin() -> list[first_backfills.TeamBackfill]:
        period = {1: first_backfills.NO_DATES}
        first_backfills.start(clickhouse, period, {}, "run", before_selection(clickhouse))
        return first_backfills.taken_by(first_backfills.read(clickhouse).values(), "run")

    record("left")  # it was enabled by an api-server
    taken = begin()
    assert state_of(source, 1) == "started"
    # An older try of the last task, which had found a gap, wakes up after the newest one.
    first_backfills.finish(clickhouse, taken, {}, {}, {}, try_number=2)
    first_backfills.finish(clickhouse, taken, {1: "lacks a day"}, {}, {}, try_number=1)
    assert state_of(source, 1) == "succeeded"

    record("succeeded")
    registry.change(clickhouse, Registration(1, True, "UTC", 7), {}, "eve")
    registry.change(clickhouse, Registration(1, True, "UTC", 7), {"enabled": False}, "eve")
    assert state_of(source, 1) == "left"

    taken = begin()
    first_backfills.look_and_mark(clickhouse, [], before_selection(clickhouse))
    first_backfills.finish(clickhouse, taken, {}, {}, {}, try_number=3)
    assert state_of(source, 1) == "left"


def test_who_is_enabled_while_others_look_has_not_left(source):
    """What was looked at is older than what happened since, and so is what follows from it."""
    clickhouse = source.clickhouse
    first_backfills.mark_left(clickhouse, [1], before_selection(clickhouse))
    first_backfills.start(
        clickhouse, {1: first_backfills.NO_DATES}, {}, "before", before_selection(clickhouse)
    )
    looked = before_selection(clickhouse)  # and then at the selection, in which the team is not yet
    first_backfills.start(clickhouse, {1: first_backfills.NO_DATES}, {}, "run", before_selection(clickhouse))
    first_backfills.look_and_mark(clickhouse, [], looked)
    assert state_of(source, 1) == "started"


@pytest.mark.slow
def test_who_is_switched_off_elsewhere_while_a_run_is_at_work_has_left(source, run_dag, days, admin):
    """By SQL, or in PostHog: nobody has recorded that the team left, and what it lacks is no failure."""
    enable(source, 1, 2)
    source.visits([1, 2], days(2), per_day=1)
    admin.execute(
        "CREATE MATERIALIZED VIEW switched_off TO web_pre_aggregated_teams AS "
        "SELECT team_id, false AS enabled, now64(6, 'UTC') AS version FROM web_analytics_team_backfills "
        "WHERE state = 'started' AND team_id = 1"
    )
    assert run_dag(DAG).state == "success"
    assert (state_of(source, 1), state_of(source, 2)) == ("left", "succeeded")
    admin.execute("DROP VIEW switched_off")
    enable(source, 1)
    assert run_dag(DAG).map_labels[GROUP] == labels(days(2))
    assert state_of(source, 1) == "succeeded"


@pytest.mark.slow
def test_the_detector_tells_the_team_backfill_of_waiting_teams_and_only_of_them(
    source, run_dag, days, settings, dag_events
):
    enable(source, 1, 2)
    source.visits([1, 2], days(2), per_day=1)
    run_dag("web_analytics_backfill", {"dry_run": True})
    assert dag_events("web_analytics_team_enabled") == []
    run_dag("web_analytics_backfill", {"team_ids": [1]})
    [event] = dag_events("web_analytics_team_enabled")
    assert event["waiting"] == 2
    selection = dag_events("web_analytics_team_selection")[-1]
    assert selection["per_strategy"] == {"teams_table": 2}
    assert run_dag(DAG).map_labels[GROUP] == labels(days(2))
    assert states(source.clickhouse, settings, days(2), [1, 2]) == {
        (team_id, day): (COMPLETE, COMPLETE) for team_id in (1, 2) for day in days(2)
    }
    run_dag("web_analytics_backfill")
    assert len(dag_events("web_analytics_team_enabled")) == 1


@pytest.fixture
def dag_events(airflow_database):
    """``dag_events(asset)``: what its events of this test tell, oldest first."""
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    began = datetime.now(UTC)

    def events(asset: str) -> list[dict]:
        with create_session() as session:
            return list(
                session.scalars(
                    select(AssetEvent.extra)
                    .join(AssetModel, AssetModel.id == AssetEvent.asset_id)
                    .where(AssetModel.name == asset, AssetEvent.timestamp >= began)
                    .order_by(AssetEvent.timestamp)
                )
            )

    return events
