"""The kinds of gap, told apart on the engine, in their order of precedence, and healed."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

import pytest

from tests.support import Source, at, differences_from_oracle, fingerprint, found_gaps, leftovers, states
from web_analytics.build.steps import build_partition
from web_analytics.detection.coverage import MAX_DAYS_PER_STATEMENT
from web_analytics.detection.detector import DetectionScope, planned_teams, store_plan
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import COMPLETE, GAP_KINDS, INCONSISTENT, MISSING, ORPHAN, STALE
from web_analytics.settings import Settings
from web_analytics.teams.selection import select_teams

IDLE = "idle"
# One team for each way to a state.
COMPLETE_TEAM, NOT_BUILT, ONE_TABLE_LOST, OTHER_BUILD, LATE_EVENT, EVENTS_GONE, NO_LEDGER = range(1, 8)
NO_EVENTS, NO_VALID_SESSION, NO_PAGEVIEW, REPLACED_PAGEVIEW = range(8, 12)
TEAMS = list(range(1, 12))

WANTED = {
    COMPLETE_TEAM: (COMPLETE, COMPLETE),
    NOT_BUILT: (MISSING, MISSING),
    ONE_TABLE_LOST: (COMPLETE, MISSING),
    OTHER_BUILD: (INCONSISTENT, INCONSISTENT),
    LATE_EVENT: (STALE, STALE),
    EVENTS_GONE: (ORPHAN, ORPHAN),
    NO_LEDGER: (ORPHAN, ORPHAN),
    NO_VALID_SESSION: (IDLE, IDLE),
    NO_PAGEVIEW: (IDLE, IDLE),
    REPLACED_PAGEVIEW: (IDLE, IDLE),
}


def change(source: Source, statement: str) -> None:
    source.clickhouse.client.execute(f"{statement} SETTINGS mutations_sync = 2, lightweight_deletes_sync = 2")


def name_another_build(source: Source, team_id: int, table: str = "web_pre_aggregated_stats") -> None:
    """As after a publication that was broken off between the tables."""
    source.clickhouse.client.execute(
        "INSERT INTO web_analytics_backfill_ledger SELECT * REPLACE ('another' AS build, "
        "now64(6, 'UTC') AS built_at) FROM web_analytics_backfill_ledger FINAL "
        f"WHERE team_id = {team_id} AND table_name = '{table}'"
    )


def make_every_kind(source: Source, settings: Settings, day: date) -> None:
    source.visits([team for team in TEAMS if team < NO_EVENTS], [day], per_day=1)
    source.event(NO_VALID_SESSION, at(day), session="not-a-uuid")
    source.event(NO_PAGEVIEW, at(day), event="$autocapture")
    replaced = source.event(REPLACED_PAGEVIEW, at(day))
    source.event(
        REPLACED_PAGEVIEW, at(day), event="search", event_uuid=replaced, ingested=at(day, 13)
    )  # its session differs, its bucket does not
    build_partition(
        source.clickhouse,
        settings,
        day,
        [COMPLETE_TEAM, ONE_TABLE_LOST, OTHER_BUILD, LATE_EVENT, EVENTS_GONE, NO_LEDGER],
    )
    change(source, f"DELETE FROM web_pre_aggregated_bounces WHERE team_id = {ONE_TABLE_LOST}")
    name_another_build(source, OTHER_BUILD)
    source.event(LATE_EVENT, at(day, 22), ingested=at(day, 23))
    change(source, f"ALTER TABLE events DELETE WHERE team_id = {EVENTS_GONE}")
    change(source, f"ALTER TABLE web_analytics_backfill_ledger DELETE WHERE team_id = {NO_LEDGER}")


@pytest.fixture
def day(days) -> date:
    """Old enough that a lone gap in it is built below the threshold."""
    return days(5)[-1]


def test_every_kind_is_told_apart_and_healed_once(source, settings, day):
    make_every_kind(source, settings, day)
    found = states(source.clickhouse, settings, [day], TEAMS)
    assert found == {(team, day): wanted for team, wanted in WANTED.items()}

    per_pair = {
        (gap.table_name, gap.state): gap.teams
        for gap in found_gaps(source.clickhouse, settings, [day], TEAMS)
    }
    assert per_pair == {
        ("web_pre_aggregated_stats", MISSING): 1,
        ("web_pre_aggregated_bounces", MISSING): 2,
        **{
            (table, state): teams
            for table in ("web_pre_aggregated_stats", "web_pre_aggregated_bounces")
            for state, teams in ((INCONSISTENT, 1), (STALE, 1), (ORPHAN, 2))
        },
    }

    for kind in GAP_KINDS:
        of_kind = found_gaps(source.clickhouse, settings, [day], TEAMS, (kind,))
        assert {gap.state for gap in of_kind} == {kind}

    build_partition(
        source.clickhouse,
        settings,
        day,
        [team for team, wanted in WANTED.items() if set(wanted) & set(GAP_KINDS)],
    )
    healed = states(source.clickhouse, settings, [day], TEAMS)
    assert {state for pair in healed.values() for state in pair} == {COMPLETE, IDLE}
    assert healed[REPLACED_PAGEVIEW, day] == (IDLE, IDLE), "a pageview that became something else is none"
    assert healed[EVENTS_GONE, day] == (IDLE, IDLE)
    assert found_gaps(source.clickhouse, settings, [day], TEAMS) == []
    assert differences_from_oracle(source.clickhouse, [day], TEAMS) == []

    # a pageview that arrives for a day without one makes it missing after all
    source.event(REPLACED_PAGEVIEW, at(day, 20), ingested=at(day, 21))
    assert states(source.clickhouse, settings, [day], [REPLACED_PAGEVIEW]) == {
        (REPLACED_PAGEVIEW, day): (MISSING, MISSING)
    }


def test_the_length_of_the_range_changes_no_state(source, settings, day):
    """Of few days the teams are held as sets, of many each row of the tables is looked at."""
    make_every_kind(source, settings, day)
    long_ago = day - (MAX_DAYS_PER_STATEMENT + 1) * ONE_DAY
    source.visits([COMPLETE_TEAM], [long_ago], per_day=1)
    build_partition(source.clickhouse, settings, long_ago, [COMPLETE_TEAM])
    assert states(source.clickhouse, settings, [long_ago, day], TEAMS) == {
        (COMPLETE_TEAM, long_ago): (COMPLETE, COMPLETE),
        **{(team, day): wanted for team, wanted in WANTED.items()},
    }


def test_rows_of_other_days_and_teams_do_not_count(source, settings, days):
    """The tables' rows are not compared with the range one by one; the team between the two lies in their granule."""
    before, day, after = reversed(days(3))
    teams, others = [1, 3], [2, 4]
    source.visits([*teams, *others], [before, day, after], per_day=1)
    for each, built in ((before, [*teams, *others]), (day, others), (after, [*teams, *others])):
        build_partition(source.clickhouse, settings, each, built)
    for kinds in ((MISSING,), GAP_KINDS):
        plan_id = str(uuid.uuid4())
        scope = DetectionScope(DateRange(day, after), kinds, nightly=False)
        gaps = store_plan(source.clickhouse, settings, scope, teams, plan_id)
        assert [(gap.partition_date, gap.state, gap.teams) for gap in gaps] == [(day, MISSING, 2)] * 2
        assert planned_teams(source.clickhouse, plan_id, day) == teams
    assert states(source.clickhouse, settings, [day], teams) == {
        (team, day): (MISSING, MISSING) for team in teams
    }


def test_an_answer_about_some_teams_leaves_nothing_behind_for_others(source, settings, days):
    """ClickHouse's cache of what a condition leaves out does not tell the conditions of indexHint apart."""
    newer, older = days(2)
    source.visits([1], [newer], per_day=1)
    source.visits([2], [older], per_day=1)
    build_partition(source.clickhouse, settings, newer, [1])
    build_partition(source.clickhouse, settings, older, [2])
    complete = {(1, newer): (COMPLETE, COMPLETE), (2, older): (COMPLETE, COMPLETE)}
    for teams in ([1], [2], [1, 2]):
        scope = DetectionScope(DateRange(older, newer + ONE_DAY), (MISSING,), nightly=False)
        assert store_plan(source.clickhouse, settings, scope, teams, str(uuid.uuid4())) == []
        found = states(source.clickhouse, settings, [older, newer], teams)
        assert found == {pair: state for pair, state in complete.items() if pair[0] in teams}


def test_a_table_without_rows_is_missing_whatever_else_is_wrong(source, settings, day):
    source.visits([1], [day], per_day=1)
    build_partition(source.clickhouse, settings, day, [1])
    change(source, "DELETE FROM web_pre_aggregated_stats WHERE team_id = 1")
    name_another_build(source, 1)
    source.event(1, at(day, 22), ingested=at(day, 23))
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (MISSING, STALE)}


def test_inconsistent_comes_before_stale_and_stale_before_complete(source, settings, day):
    source.visits([1], [day], per_day=1)
    build_partition(source.clickhouse, settings, day, [1])
    source.event(1, at(day, 22), ingested=at(day, 23))
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (STALE, STALE)}
    name_another_build(source, 1)
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (INCONSISTENT, INCONSISTENT)}
    change(source, "ALTER TABLE events DELETE WHERE team_id = 1")
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (INCONSISTENT, INCONSISTENT)}


def test_an_event_ingested_at_the_recorded_instant_is_not_newer(source, settings, day):
    source.event(1, at(day), ingested=at(day, 13))
    build_partition(source.clickhouse, settings, day, [1])
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (COMPLETE, COMPLETE)}
    source.event(1, at(day, 12.5), ingested=at(day, 13) + timedelta(microseconds=1))
    assert states(source.clickhouse, settings, [day], [1]) == {(1, day): (STALE, STALE)}


def test_teams_that_are_not_enabled_are_not_looked_at(source, settings, day):
    enabled, disabled, never_enabled, by_environment = 1, 2, 3, 4
    source.enable(enabled)
    source.enable(disabled)
    source.enable(disabled, enabled=False)
    source.visits([enabled, disabled, never_enabled, by_environment], [day], per_day=1)
    selected = select_teams(source.clickhouse, settings).team_ids
    assert selected == {enabled}
    assert [gap.teams for gap in found_gaps(source.clickhouse, settings, [day], list(selected))] == [1, 1]

    both = Settings.load(
        {
            "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table,environment_variable",
            "WEB_ANALYTICS_ENABLED_TEAM_IDS": f"{by_environment},{enabled}",
        }
    )
    assert select_teams(source.clickhouse, both).team_ids == {enabled, by_environment}
    assert select_teams(source.clickhouse, both).per_strategy == {"teams_table": 1, "environment_variable": 2}


def test_the_0200_run_heals_every_kind_and_other_runs_leave_them(
    source, settings, run_dag, day, newest_closed
):
    source.enable(*TEAMS)
    make_every_kind(source, settings, day)
    midnight = at(newest_closed, 24)
    # nothing is missing any more, only the other kinds are left
    build_partition(source.clickhouse, settings, day, [NOT_BUILT, ONE_TABLE_LOST, REPLACED_PAGEVIEW])
    written = ("web_analytics_backfill_log", "web_analytics_activity", "web_analytics_activity_scans")
    before = fingerprint(source.clickhouse)
    six_hourly = run_dag("web_analytics_backfill", logical_date=midnight + timedelta(hours=6))
    assert six_hourly.ran("skip_backfill") == 1
    after = fingerprint(source.clickhouse)
    for table in written:
        before.pop(table), after.pop(table)
    assert after == before

    nightly = run_dag("web_analytics_backfill", logical_date=midnight + timedelta(hours=2))
    assert nightly.map_labels["build_date.publish"] == [day.isoformat()]
    assert found_gaps(source.clickhouse, settings, [day], TEAMS) == []
    assert differences_from_oracle(source.clickhouse, [day], TEAMS) == []
    assert leftovers(source.clickhouse) == []


def test_a_run_by_hand_acts_on_the_kinds_of_its_conf(source, settings, run_dag, days):
    stale_day, orphan_day = days(5)[3:]
    source.enable(1)
    source.visits([1], [stale_day, orphan_day], per_day=1)
    for each in (stale_day, orphan_day):
        build_partition(source.clickhouse, settings, each, [1])
    source.event(1, at(stale_day, 22), ingested=at(stale_day, 23))
    change(source, f"ALTER TABLE web_analytics_backfill_ledger DELETE WHERE partition_date = '{orphan_day}'")
    run = run_dag("web_analytics_backfill", {"kinds": ["stale"]})
    assert run.map_labels["build_date.publish"] == [stale_day.isoformat()]
    assert states(source.clickhouse, settings, [stale_day, orphan_day], [1]) == {
        (1, stale_day): (COMPLETE, COMPLETE),
        (1, orphan_day): (ORPHAN, ORPHAN),
    }


def test_a_build_heals_a_stale_day_although_the_ledger_is_ahead_of_the_clock(source, settings, day):
    """It was built by a clock that ran three hours ahead and was put right since."""
    source.enable(1)
    source.visits([1], [day])
    build_partition(source.clickhouse, settings, day, [1])
    client = source.clickhouse.client
    client.execute("CREATE TABLE ahead AS web_analytics_backfill_ledger")
    client.execute(
        "INSERT INTO ahead SELECT * REPLACE (built_at + INTERVAL 3 HOUR AS built_at) FROM web_analytics_backfill_ledger"
    )
    client.execute("EXCHANGE TABLES ahead AND web_analytics_backfill_ledger")
    source.visits([1], [day])
    assert states(source.clickhouse, settings, [day], [1])[1, day] == ("stale", "stale")
    for _ in range(2):
        build_partition(source.clickhouse, settings, day, [1])
        assert states(source.clickhouse, settings, [day], [1])[1, day] == ("complete", "complete")
