"""The ≥3 rule, the maximum gap age, the daily build and the limit of dates."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.rules.decision import GapCount, Rule, count_missing_partitions, decide
from web_analytics.rules.partitions import ONE_DAY, closed_at, newest_closed_day
from web_analytics.rules.states import COMPLETE, GAP_KINDS, INCONSISTENT, MISSING, ORPHAN, STALE
from web_analytics.tables import BOUNCES, STATS, TABLES

NOW = datetime(2026, 5, 20, 14, 0, tzinfo=UTC)
SETTLING = timedelta(minutes=60)
NEWEST = newest_closed_day(NOW, SETTLING)
EVERYTHING = (*GAP_KINDS, COMPLETE)

GAPS = st.lists(
    st.builds(
        GapCount,
        partition_date=st.integers(0, 40).map(lambda age: NEWEST - timedelta(days=age)),
        table_name=st.sampled_from([table.name for table in TABLES]),
        state=st.sampled_from(GAP_KINDS),
        teams=st.integers(1, 500),
        source_pageviews=st.integers(0, 10**9),
    ),
    max_size=24,
    unique_by=lambda gap: (gap.partition_date, gap.table_name, gap.state),
)
RULES = st.builds(
    Rule,
    min_missing_partitions=st.integers(1, 12),
    max_gap_age=st.integers(0, 2000).map(lambda hours: timedelta(hours=hours)),
    settling=st.just(SETTLING),
    max_partitions=st.integers(1, 20),
    daily_build_date=st.sampled_from([None, NEWEST]),
    rebuild=st.booleans(),
)


def rule(**changes) -> Rule:
    values = {
        "min_missing_partitions": 3,
        "max_gap_age": timedelta(hours=48),
        "settling": SETTLING,
        "max_partitions": 7,
    }
    return Rule(**{**values, **changes})


def gap(days_ago: int, table=STATS, state: str = MISSING, teams: int = 1) -> GapCount:
    return GapCount(NEWEST - timedelta(days=days_ago), table.name, state, teams, 100)


def missing_pairs(count: int) -> list[GapCount]:
    """So many missing pairs, all of them young."""
    tables = [STATS, BOUNCES]
    return [gap(number // 2, tables[number % 2]) for number in range(count)]


@pytest.mark.parametrize(("pairs", "backfill"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_the_threshold_is_reached_at_exactly_its_number(pairs, backfill):
    decision = decide(missing_pairs(pairs), rule(max_gap_age=timedelta(days=30)), NOW)
    assert decision.backfill is backfill
    assert decision.missing_partitions == pairs


@pytest.mark.parametrize("state", [INCONSISTENT, STALE, ORPHAN])
def test_only_missing_pairs_count_towards_the_threshold(state):
    others = [gap(number, state=state) for number in range(2)] + [gap(0, BOUNCES, state)]
    decision = decide([*missing_pairs(2), *others], rule(), NOW)
    assert decision.missing_partitions == 2
    assert not decision.backfill


def test_what_counts_are_pairs_and_not_the_teams_that_miss_them():
    decision = decide([gap(0, teams=5000), gap(0, BOUNCES, teams=5000)], rule(), NOW)
    assert decision.missing_partitions == 2
    assert not decision.backfill


def test_the_same_pair_seen_twice_counts_once():
    assert count_missing_partitions([gap(0), gap(0, teams=2), gap(0)]) == 1


def test_both_tables_of_one_date_are_two_pairs_and_one_date():
    decision = decide([gap(0), gap(0, BOUNCES), gap(1)], rule(), NOW)
    assert decision.missing_partitions == 3
    assert decision.dates == (NEWEST, NEWEST - ONE_DAY)


def test_a_gap_may_wait_exactly_as_long_as_allowed_and_no_longer():
    one, limit = gap(3), timedelta(hours=48)
    allowed_until = closed_at(one.partition_date, SETTLING) + limit
    assert not decide([one], rule(), allowed_until).backfill
    late = decide([one], rule(), allowed_until + timedelta(microseconds=1))
    assert late.backfill
    assert late.dates == (one.partition_date,)


def test_the_age_of_a_gap_is_counted_from_the_end_of_its_settling_delay():
    decision = decide([gap(0)], rule(), closed_at(NEWEST, SETTLING) + timedelta(hours=5, minutes=30))
    assert decision.oldest_gap_age_hours == 5.5


def test_the_nightly_run_builds_the_newest_closed_day_and_nothing_else_below_the_threshold():
    decision = decide([gap(0), gap(1)], rule(daily_build_date=NEWEST), NOW)
    assert decision.backfill
    assert decision.dates == (NEWEST,)
    assert "newest closed day" in decision.reason


@pytest.mark.parametrize("state", [INCONSISTENT, STALE, ORPHAN])
def test_the_daily_build_is_for_a_missing_day_only(state):
    assert not decide([gap(0, state=state)], rule(daily_build_date=NEWEST), NOW).backfill


def test_the_daily_build_of_a_day_that_is_there_is_no_build():
    assert not decide([gap(1)], rule(daily_build_date=NEWEST), NOW).backfill


def test_a_rebuild_takes_complete_days_too_and_asks_no_threshold():
    decision = decide([gap(1, state=COMPLETE)], rule(rebuild=True, kinds=EVERYTHING), NOW)
    assert decision.backfill
    assert decision.dates == (NEWEST - ONE_DAY,)
    assert decision.missing_partitions == 0


def test_a_rebuild_of_a_range_without_data_is_a_skip_with_its_reason():
    decision = decide([], rule(rebuild=True, kinds=EVERYTHING), NOW)
    assert not decision.backfill
    assert decision.reason == "nothing to rebuild: no team has events or rows in the range"


def test_a_rebuild_of_some_kinds_asks_no_threshold_either():
    decision = decide([gap(0, state=STALE)], rule(rebuild=True, kinds=(STALE, ORPHAN)), NOW)
    assert decision.dates == (NEWEST,)
    assert decision.reason == "rebuild of 1 date of an explicit range: stale or orphan"
    nothing = decide([], rule(rebuild=True, kinds=(STALE, ORPHAN)), NOW)
    assert not nothing.backfill
    assert nothing.reason == "nothing to rebuild: no day is stale or orphan"


def test_who_looked_for_missing_days_only_does_not_say_that_all_is_complete():
    reason = decide([], rule(kinds=(MISSING,)), NOW).reason
    assert reason == "0 missing partitions (threshold 3): no day is missing"


def test_complete_tables_are_a_skip_with_the_numbers():
    assert decide([], rule(), NOW).reason == "0 missing partitions (threshold 3): the tables are complete"


@given(gaps=GAPS, rule_=RULES)
@examples(150)
def test_dates_are_newest_first_within_the_limit_and_add_up(gaps, rule_):
    decision = decide(gaps, rule_, NOW)
    all_dates = {gap.partition_date for gap in gaps}
    assert len(decision.dates) <= rule_.max_partitions
    assert list(decision.dates) == sorted(set(decision.dates), reverse=True)
    assert set(decision.dates) <= all_dates
    assert decision.backfill == bool(decision.dates)
    if decision.backfill and not (rule_.daily_build_date and decision.dates == (rule_.daily_build_date,)):
        assert len(decision.dates) + decision.dates_left == len(all_dates)
        assert all(left < min(decision.dates) for left in all_dates.difference(decision.dates)), (
            "an older date was built before a newer one"
        )
    if not decision.backfill:
        assert decision.dates_left == 0


@given(gaps=GAPS, rule_=RULES)
@examples(150)
def test_the_reason_names_the_numbers_it_rests_on(gaps, rule_):
    decision = decide(gaps, rule_, NOW)
    assert decision.reason
    numbers = re.findall(r"\d+", decision.reason)
    if gaps and not rule_.rebuild:
        assert str(decision.missing_partitions) in numbers
        assert str(rule_.min_missing_partitions) in numbers
    if gaps and not decision.backfill:
        assert str(decision.oldest_gap) in decision.reason
    if decision.dates_left:
        assert (
            f"the {len(decision.dates)} newest of {len(decision.dates) + decision.dates_left}"
            in decision.reason
        )


@given(gaps=GAPS, rule_=RULES)
@examples(150)
def test_it_backfills_exactly_if_one_of_its_reasons_holds(gaps, rule_):
    """The rule written a second time, from the contract."""
    missing = {(gap.table_name, gap.partition_date) for gap in gaps if gap.state == MISSING}
    oldest = min((gap.partition_date for gap in gaps), default=None)
    waited_too_long = oldest is not None and NOW - closed_at(oldest, SETTLING) > rule_.max_gap_age
    newest_is_missing = rule_.daily_build_date in {day for _, day in missing}
    wanted = bool(gaps) and (
        rule_.rebuild or len(missing) >= rule_.min_missing_partitions or waited_too_long or newest_is_missing
    )
    assert decide(gaps, rule_, NOW).backfill == wanted


@given(gaps=GAPS, rule_=RULES, days_ago=st.integers(0, 40), table=st.sampled_from(TABLES))
@examples(150)
def test_one_more_missing_pair_never_turns_a_backfill_into_a_skip(gaps, rule_, days_ago, table):
    assume(decide(gaps, rule_, NOW).backfill)
    assert decide([*gaps, gap(days_ago, table)], rule_, NOW).backfill


@given(
    rule_=RULES, state=st.sampled_from(GAP_KINDS), table=st.sampled_from(TABLES), days_ago=st.integers(0, 40)
)
@examples(100)
def test_a_lone_gap_of_any_kind_heals_in_time(rule_, state, table, days_ago):
    lone = gap(days_ago, table, state)
    later = closed_at(lone.partition_date, SETTLING) + rule_.max_gap_age + timedelta(seconds=1)
    assert decide([lone], rule_, later).dates == (lone.partition_date,)


@given(gaps=GAPS, rule_=RULES)
@examples(100)
def test_repeated_runs_work_off_every_gap(gaps, rule_):
    """No date starves: with nothing new, runs that each build what they decided end with no gap."""
    left, runs = list(gaps), 0
    overdue = NOW + timedelta(days=400)
    while left:
        built = set(decide(left, rule_, overdue).dates)
        assert built
        left = [gap for gap in left if gap.partition_date not in built]
        runs += 1
    assert runs <= -(-len({gap.partition_date for gap in gaps}) // rule_.max_partitions)


@given(gaps=GAPS, rule_=RULES)
@examples(50)
def test_a_decision_survives_its_way_through_xcom(gaps, rule_):
    decision = decide(gaps, rule_, NOW).to_json()
    assert [date.fromisoformat(day) for day in decision["dates"]] == list(decide(gaps, rule_, NOW).dates)
    rows = [
        {
            "partition_date": gap.partition_date.isoformat(),
            "table_name": gap.table_name,
            "state": gap.state,
            "teams": gap.teams,
            "source_pageviews": gap.source_pageviews,
        }
        for gap in gaps
    ]
    assert [GapCount.from_row(row) for row in rows] == gaps
