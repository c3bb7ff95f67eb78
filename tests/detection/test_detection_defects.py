"""What the earlier systems looked for and did not find, or found for ever.

Each test also runs the defective query on the same data and shows that it gives the wrong answer there, so that
the data would reveal the defect in this package.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.support import at, found_gaps, session_id, states
from web_analytics.build.steps import build_partition
from web_analytics.conf import BackfillConf
from web_analytics.detection import detector
from web_analytics.errors import QueryFailed
from web_analytics.rules.decision import Rule, count_missing_partitions, decide
from web_analytics.rules.partitions import ONE_DAY
from web_analytics.rules.states import MISSING
from web_analytics.tables import TABLES
from web_analytics.teams.selection import select_teams

EVENT_DAYS = "SELECT DISTINCT toUInt64(team_id) AS team_id, toDate(timestamp) AS day FROM events"
STATS_DAYS = "SELECT DISTINCT team_id, toDate(period_bucket) AS day FROM web_pre_aggregated_stats"


def missing_days(gaps):
    return {gap.partition_date for gap in gaps if gap.state == MISSING}


def rule(**changes):
    values = {
        "min_missing_partitions": 3,
        "max_gap_age": timedelta(days=365),
        "settling": timedelta(hours=1),
        "max_partitions": 7,
    }
    return Rule(**{**values, **changes})


def test_defect_01_a_left_join_without_nulls_finds_nothing(source, settings, days):
    source.visits([1], days(3))
    build_partition(source.clickhouse, settings, days(3)[1], [1])
    gaps = found_gaps(source.clickhouse, settings, days(3), [1])
    assert {(gap.partition_date, gap.table_name) for gap in gaps} == {
        (day, table.name) for day in (days(3)[0], days(3)[2]) for table in TABLES
    }

    defective = (
        f"SELECT e.team_id, e.day FROM ({EVENT_DAYS}) AS e LEFT JOIN ({STATS_DAYS}) AS t "
        "ON e.team_id = t.team_id AND e.day = t.day WHERE t.day IS NULL"
    )
    assert source.clickhouse.client.execute(defective) == []
    assert len(source.clickhouse.client.execute(defective, settings={"join_use_nulls": 1})) == 2


@pytest.mark.parametrize("setting", ["join_use_nulls", "transform_null_in", "final"])
def test_defect_01_a_setting_of_the_session_does_not_change_what_is_found(source, settings, days, setting):
    source.visits([1, 2], days(2))
    build_partition(source.clickhouse, settings, days(2)[0], [1])
    wanted = found_gaps(source.clickhouse, settings, days(2), [1, 2])
    source.clickhouse.client.execute(f"SET {setting} = 1")
    assert found_gaps(source.clickhouse, settings, days(2), [1, 2]) == wanted
    assert states(source.clickhouse, settings, days(2), [1, 2])[1, days(2)[0]] == ("complete", "complete")


def test_defect_02_every_team_is_checked_not_only_the_last(source, settings, days):
    teams = [1, 2, 3]
    source.visits(teams, days(1))
    [stats, bounces] = sorted(
        found_gaps(source.clickhouse, settings, days(1), teams), key=lambda gap: gap.table_name, reverse=True
    )
    assert stats.teams == bounces.teams == 3
    for team in teams:
        assert states(source.clickhouse, settings, days(1), [team]) == {
            (team, days(1)[0]): (MISSING, MISSING)
        }

    pasted_as_columns = f"SELECT {', '.join(map(str, teams))} AS team_id"
    checked = source.clickhouse.client.execute(
        f"SELECT DISTINCT team_id FROM events WHERE team_id IN (SELECT team_id FROM ({pasted_as_columns}))"
    )
    assert checked == [(3,)]


def test_defect_02_twenty_thousand_teams_are_all_checked(source, settings, days):
    source.visits([1, 20_000], days(1), per_day=1)
    gaps = found_gaps(source.clickhouse, settings, days(1), list(range(1, 20_001)))
    assert [gap.teams for gap in gaps] == [2, 2]


def test_defect_03_a_failed_query_is_not_zero_missing(source, settings, run_dag, days):
    source.enable(1)
    source.visits([1], days(3))
    source.clickhouse.client.execute("DROP VIEW web_analytics_source_events")
    with pytest.raises(QueryFailed, match="detection/count_gaps failed in ClickHouse with code 60"):
        found_gaps(source.clickhouse, settings, days(3), [1])
    run = run_dag("web_analytics_backfill")

    assert run.state == "failed"
    assert run.states["detect"] == ["failed"]
    assert run.states["decide"] == run.states["skip_backfill"] == ["upstream_failed"]
    assert source.clickhouse.client.execute("SELECT * FROM web_analytics_backfill_log") == []

    # what a detection that swallows the error would have decided
    assert decide([], rule(), datetime.now(UTC)).reason.startswith("0 missing partitions")


def test_defect_03_a_failed_team_selection_is_not_no_teams(source, settings):
    source.clickhouse.client.execute("DROP DICTIONARY web_pre_aggregated_teams_dict")
    source.clickhouse.client.execute("DROP TABLE web_pre_aggregated_teams")
    with pytest.raises(RuntimeError, match="strategy teams_table failed: .*web_pre_aggregated_teams"):
        select_teams(source.clickhouse, settings)


def test_defect_04_a_gap_belongs_to_its_team(source, settings, days):
    newer, older = days(2)
    source.visits([1, 2], [newer, older])
    build_partition(source.clickhouse, settings, newer, [2])
    build_partition(source.clickhouse, settings, older, [1])
    scope = detector.scope_of(
        BackfillConf.parse({"days_back": 5}, settings), settings, datetime.now(UTC), None
    )
    detector.store_plan(source.clickhouse, settings, scope, {1, 2}, "plan")
    assert detector.planned_teams(source.clickhouse, "plan", newer) == [1]
    assert detector.planned_teams(source.clickhouse, "plan", older) == [2]

    # one set of dates for all teams says that everybody lacks both days
    merged = source.clickhouse.client.execute(
        "SELECT DISTINCT partition_date FROM web_analytics_backfill_plan WHERE plan_id = 'plan'"
    )
    assert len(merged) * 2 == 4


def test_defect_05_idle_teams_and_open_days_are_never_missing(source, settings, days, newest_closed):
    busy, idle, clicks_only, without_session = 1, 2, 3, 4
    teams = [busy, idle, clicks_only, without_session]
    now = datetime.now(UTC)
    source.visits([busy], days(3))
    source.visits([busy], [newest_closed + ONE_DAY])  # an open day, whatever the hour
    source.event(clicks_only, at(days(1)[0]), event="$autocapture")
    source.event(without_session, at(days(1)[0]), session="")
    scope = detector.scope_of(BackfillConf.parse({"days_back": 30}, settings), settings, now, None)

    gaps = detector.count_gaps(source.clickhouse, settings, scope, teams)
    assert missing_days(gaps) == set(days(3))
    assert {gap.teams for gap in gaps} == {1}
    for day in days(3):
        build_partition(source.clickhouse, settings, day, [busy])
    assert detector.count_gaps(source.clickhouse, settings, scope, teams) == []

    defective = source.clickhouse.client.execute(
        "SELECT team_id, day FROM (SELECT arrayJoin(%(teams)s) AS team_id) AS t CROSS JOIN "
        "(SELECT toDate(%(today)s) - number AS day FROM numbers(3)) AS d "
        f"WHERE (toUInt64(team_id), day) NOT IN ({STATS_DAYS})",
        {"teams": teams, "today": now.date()},
    )
    assert (idle, days(1)[0]) in defective, "the same days would be built for ever"
    assert (busy, now.date()) in defective


def test_defect_06_the_newest_dates_are_built_first(source, settings, days):
    source.visits([1], days(5), per_day=1)
    gaps = found_gaps(source.clickhouse, settings, days(5), [1])
    decision = decide(gaps, rule(max_partitions=2), datetime.now(UTC))
    assert list(decision.dates) == days(5)[:2]
    assert decision.dates_left == 3
    assert sorted(missing_days(gaps))[:2] == days(5)[:2:-1], "oldest first would build these"


def test_defect_07_a_lookback_of_n_looks_at_n_days(source, settings, newest_closed):
    now = at(newest_closed + ONE_DAY, 5)
    every_day = [now.date() - timedelta(days=offset) for offset in range(6)]
    source.visits([1], every_day, per_day=1)
    scope = detector.scope_of(BackfillConf.parse({"days_back": 3}, settings), settings, now, None)
    gaps = detector.count_gaps(source.clickhouse, settings, scope, {1})
    assert missing_days(gaps) == set(every_day[1:4])

    defective = source.clickhouse.client.execute(
        "SELECT uniqExact(toDate(timestamp)) FROM events WHERE toDate(timestamp) >= toDate(%(today)s) - 3",
        {"today": now.date()},
    )
    assert defective == [(4,)]


def test_defect_08_one_row_does_not_make_a_day_complete(source, settings, days):
    day = days(1)[0]
    built, other_team, other_table, morning_only, foreign = 1, 2, 3, 4, 5
    source.visits([built, other_team, other_table, morning_only, foreign], [day])
    build_partition(source.clickhouse, settings, day, [built, other_table, morning_only, foreign])
    client = source.clickhouse.client
    client.execute(f"DELETE FROM web_pre_aggregated_bounces WHERE team_id = {other_table}")
    client.execute(
        f"ALTER TABLE web_analytics_backfill_ledger DELETE WHERE team_id = {foreign} SETTINGS mutations_sync = 2"
    )
    source.event(morning_only, at(day, 23), ingested=at(day, 23.5))

    assert states(source.clickhouse, settings, [day], [1, 2, 3, 4, 5]) == {
        (built, day): ("complete", "complete"),
        (other_team, day): ("missing", "missing"),
        (other_table, day): ("complete", "missing"),
        (morning_only, day): ("stale", "stale"),
        (foreign, day): ("orphan", "orphan"),
    }
    assert count_missing_partitions(found_gaps(source.clickhouse, settings, [day], [1, 2, 3, 4, 5])) == 2

    any_row_will_do = client.execute("SELECT DISTINCT toDate(period_bucket) FROM web_pre_aggregated_stats")
    assert any_row_will_do == [(day,)], "the day would count as there"


def test_defect_20_activity_is_counted_in_the_writers_bucket(source, settings, days):
    newer, older = days(2)
    over_midnight = session_id(at(older, 23.9))
    for minute in (0, 10, 20, 30):
        source.event(1, at(older, 23.9) + timedelta(minutes=minute), over_midnight)
    assert missing_days(found_gaps(source.clickhouse, settings, days(2), [1])) == {older}
    build_partition(source.clickhouse, settings, older, [1])
    build_partition(source.clickhouse, settings, newer, [1])
    assert found_gaps(source.clickhouse, settings, days(2), [1]) == []

    by_event_day = source.clickhouse.client.execute(
        f"SELECT day FROM ({EVENT_DAYS}) WHERE (team_id, day) NOT IN ({STATS_DAYS})"
    )
    assert by_event_day == [(newer,)], "a gap that no build can fill"
