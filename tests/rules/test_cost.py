"""What dates are estimated to cost, and how many of them a budget holds."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.rules.cost import (
    NEAREST,
    READINGS,
    BuiltDate,
    Cost,
    estimate,
    held_without_approval,
    in_words,
    needs_approval,
    total,
    within_budget,
)
from web_analytics.rules.decision import Decision

NEWEST = date(2026, 5, 19)
SIZES = st.integers(1, 10**10)
COSTS = st.builds(
    Cost,
    rows=st.integers(0, 10**12),
    bytes=st.none() | st.integers(0, 10**15),
    seconds=st.none() | st.floats(0, 10**6),
)


def decided(dates: int, left: int = 0) -> Decision:
    days = tuple(NEWEST - timedelta(days=age) for age in range(dates))
    return Decision(bool(days), "the rule says so", 2 * dates, None, 0.0, days, left)


@st.composite
def decisions(draw):
    """A decision with the estimate of each of its dates."""
    rows = draw(st.lists(st.integers(0, 1000), min_size=1, max_size=12))
    decision = decided(len(rows), draw(st.integers(0, 5)))
    return decision, {day: Cost(each) for day, each in zip(decision.dates, rows, strict=True)}


def test_without_any_earlier_build_it_is_what_a_build_reads_of_the_source():
    assert estimate(1000, []) == Cost(READINGS * 1000, None, None)


@given(size=SIZES, sizes=st.lists(SIZES, min_size=1, max_size=30), times=st.integers(1, 50))
@examples(100)
def test_where_each_build_cost_the_same_for_a_row_so_does_the_next(size, sizes, times):
    earlier = [BuiltDate(each, Cost(times * each, 8 * each, each / 1000)) for each in sizes]
    cost = estimate(size, earlier)
    assert cost.rows == pytest.approx(times * size, rel=1e-9, abs=1)
    assert cost.bytes == pytest.approx(8 * size, rel=1e-9, abs=1)
    assert cost.seconds == pytest.approx(size / 1000, rel=1e-9)


def test_a_date_is_judged_by_those_of_its_own_size():
    """What every build costs, however small, would make a large date look a thousand times as dear."""
    small = [BuiltDate(10, Cost(100_000, 10, 5.0))] * NEAREST
    large = [BuiltDate(1_000_000, Cost(4_000_000, 80_000_000, 40.0))] * NEAREST
    assert estimate(2_000_000, [*small, *large]) == Cost(8_000_000, 160_000_000, 80.0)
    assert estimate(10, [*large, *small]) == Cost(100_000, 10, 5.0)


def test_builds_of_which_no_size_was_told_teach_nothing():
    assert estimate(1000, [BuiltDate(0, Cost(7, 7, 7.0))]) == Cost(READINGS * 1000)


@given(costs=st.lists(COSTS, max_size=10))
@examples(50)
def test_what_is_unknown_of_one_date_is_unknown_of_all(costs):
    together = total(costs)
    assert together.rows == sum(each.rows for each in costs)
    assert (together.bytes is None) == any(each.bytes is None for each in costs)
    assert (together.seconds is None) == any(each.seconds is None for each in costs)


def test_without_a_budget_the_decision_is_as_it_was():
    decision = decided(3, 2)
    assert within_budget(decision, {}, 0) is decision
    assert within_budget(decided(0), {}, 1) == decided(0)


@given(case=decisions(), max_rows=st.integers(1, 5000))
@examples(200)
def test_a_budget_holds_the_longest_beginning_that_fits_and_the_first_date_always(case, max_rows):
    decision, estimates = case
    kept = within_budget(decision, estimates, max_rows)
    beginnings = [decision.dates[:length] for length in range(1, len(decision.dates) + 1)]
    fitting = [days for days in beginnings if sum(estimates[day].rows for day in days) <= max_rows]
    assert kept.dates == (fitting[-1] if fitting else decision.dates[:1])
    assert kept.backfill
    assert len(kept.dates) + kept.dates_left == len(decision.dates) + decision.dates_left


@given(case=decisions(), max_rows=st.integers(1, 5000))
@examples(200)
def test_the_reason_says_what_is_left_and_why(case, max_rows):
    decision, estimates = case
    reason = within_budget(decision, estimates, max_rows).reason
    first = decision.dates[0]
    left = decision.dates_left + len(decision.dates) - decision.dates_left
    taken = len(within_budget(decision, estimates, max_rows).dates)
    assert reason.startswith(decision.reason)
    assert (f"{first} alone is above the budget of {max_rows:,} rows" in reason) == (
        estimates[first].rows > max_rows
    )
    assert ("to the next run" in reason) == (taken < left)
    if taken < left:
        assert f"{left - taken} date" in reason
        assert f"budget of {max_rows:,} rows" in reason


@given(case=decisions(), budgets=st.tuples(st.integers(1, 5000), st.integers(1, 5000)))
@examples(100)
def test_a_larger_budget_holds_no_fewer_dates(case, budgets):
    small, large = sorted(budgets)
    assert len(within_budget(*case, small).dates) <= len(within_budget(*case, large).dates)


@given(case=decisions(), bound=st.integers(0, 5000))
@examples(200)
def test_what_is_built_without_asking_never_is_above_the_bound_and_waits_only_for_whom_it_has_to(case, bound):
    decision, estimates = case
    dates, remark = held_without_approval(decision.dates, estimates, bound)
    assert bool(remark) == (dates != decision.dates)
    if not bound:
        assert dates == decision.dates
        return
    assert not needs_approval(total([estimates[day] for day in dates]), bound)
    large = [day for day in decision.dates if estimates[day].rows > bound]
    others = [day for day in decision.dates if day not in large]
    assert dates == tuple(others[: len(dates)])
    if len(dates) < len(others):  # the next one would have been too many
        assert needs_approval(total([estimates[day] for day in others[: len(dates) + 1]]), bound)
        assert f"{len(others) - len(dates)} date" in remark
    assert all(str(day) in remark for day in large)
    # However often a run comes, all that need nobody are built in the end.
    assert dates or not others


def test_a_cost_in_words():
    assert in_words(Cost(1_234_567)) == "1,234,567 rows"
    assert in_words(Cost(5, 2_500_000_000, 61.4)) == "5 rows, 2.5 GB, 61 s of work"
    assert in_words(Cost(5, 2_500_000, 0.2)) == "5 rows, 2.5 MB, 0 s of work"
