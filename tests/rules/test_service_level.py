"""The service level: which days are due, the error budget, how fast it burns and when people are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.rules import service_level
from web_analytics.rules.partitions import DateRange
from web_analytics.rules.service_level import DayCount, ServiceLevel

DAY = date(2026, 1, 19)


def level(*late: int, expected: int = 100, objective: float = 99.0) -> ServiceLevel:
    """So many late teams on each of the last days, of 30 days."""
    counts = [0] * (30 - len(late)) + list(late)
    days = (
        DayCount(DAY - timedelta(days=29 - number), expected, count) for number, count in enumerate(counts)
    )
    return ServiceLevel(6, objective, tuple(days))


def test_a_day_is_due_from_its_deadline_on():
    before, at = datetime(2026, 1, 20, 5, 59, 59, tzinfo=UTC), datetime(2026, 1, 20, 6, tzinfo=UTC)
    assert service_level.days_due(at, 6) == DateRange(date(2025, 12, 21), date(2026, 1, 20))
    assert service_level.days_due(before, 6) == DateRange(date(2025, 12, 20), DAY)
    assert service_level.deadline(DAY, 6) == at
    assert service_level.deadline(DAY, 30) == at + timedelta(days=1)


@pytest.mark.parametrize(("hours", "settling", "expected"), [(0, 0, False), (1, 60, False), (2, 60, True)])
def test_what_no_build_can_keep_is_not_promised(hours, settling, expected):
    assert service_level.can_be_kept(hours, timedelta(minutes=settling)) is expected


def test_share_budget_and_burn_rate():
    found = level(3, 0, 9)
    assert (found.expected, found.late) == (3000, 12)
    assert found.percent == pytest.approx(99.6)
    assert found.budget_left_percent == pytest.approx(60)  # 30 may be late
    assert found.burn_rate == pytest.approx(4)  # 4 % of 300
    assert level(3, 0, 9, objective=99.9).budget_left_percent == pytest.approx(-300)


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ((0, 0, 0), False),
        ((0, 0, 3), False),  # one day alone: not beyond what three days may have
        ((0, 0, 4), True),
        ((2, 2, 2), True),
        ((2, 2, 1), False),  # the newest day is as good as agreed
        ((100, 100, 0), False),  # over, however much of the budget it took
        ((100, 0, 0, 0), False),
    ],
)
def test_people_are_told_while_it_burns(late, expected):
    assert level(*late).is_burning is expected


def test_a_day_of_which_no_team_counts_burns_nothing():
    days = level(0, 4).days
    assert not ServiceLevel(6, 99.0, (*days, DayCount(DAY + timedelta(days=1), 0, 0))).is_burning


def test_the_sentence_names_the_late_days_the_newest_first():
    assert level(5, 0, 7).sentence == (
        "days are late, not complete 6 h after their end: 2026-01-19 (7 of 100 teams), 2026-01-17 (5 of 100 teams); that is "
        "4.0 times what the objective of 99 % allows, and 60 % of the error budget of 30 days is left"
    )
    assert level(100, 0, 7).sentence.endswith("and the error budget of 30 days is used up")
    assert level(5, 0, 7).burning_since == datetime(2026, 1, 18, 6, tzinfo=UTC)
    assert level(0, 0, 0).burning_since == datetime(2026, 1, 20, 6, tzinfo=UTC)


def test_what_is_kept_names_each_late_day_and_is_never_better_than_it_is():
    told = level(0, 1, expected=301, objective=99.9).to_json()
    assert told["late_days"] == [{"date": "2026-01-19", "expected": 301, "late": 1}]
    assert (told["hours"], told["objective"], told["days"], told["expected"], told["late"]) == (
        6,
        99.9,
        30,
        9030,
        1,
    )
    assert (told["percent"], told["budget_left_percent"], told["burn_rate"]) == (99.98, 88.92, 1.1)


counts = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(sorted)


@given(days=st.lists(counts, min_size=1, max_size=30), objective=st.sampled_from([50.0, 99.0, 99.99]))
@examples(200)
def test_the_budget_is_used_up_exactly_where_the_objective_is_missed(days, objective):
    found = ServiceLevel(
        6,
        objective,
        tuple(DayCount(DAY + timedelta(days=number), most, late) for number, (late, most) in enumerate(days)),
    )
    if found.expected == 0:
        assert (found.burn_rate, found.is_burning) == (0, False)
        return
    assert (found.budget_left_percent < -1e-9) == (found.percent < objective - 1e-9)
    assert found.burn_rate >= 0
    later = ServiceLevel(6, objective, (*found.days, DayCount(DAY + timedelta(days=40), 50, 0)))
    assert not later.is_burning
    assert later.budget_left_percent >= found.budget_left_percent - 1e-9
