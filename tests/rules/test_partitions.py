"""The rules about days: half-open ranges, lookback, open and closed days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import at, examples
from web_analytics.rules.partitions import (
    ONE_DAY,
    DateRange,
    closed_at,
    closed_part,
    day_end,
    is_open,
    lookback,
    month_of,
    months,
    newest_closed_day,
    newest_first,
    partition_id,
)

DAYS = st.dates(min_value=date(2015, 1, 1), max_value=date(2035, 12, 31))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
INSTANTS = st.builds(
    lambda day, microseconds, zone: (at(day, 0) + timedelta(microseconds=microseconds)).astimezone(zone),
    DAYS,
    st.one_of(st.integers(-2, 2), st.integers(0, 24 * 3600 * 10**6)),
    ZONES,
)
SETTLING = st.integers(0, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
RANGES = st.tuples(DAYS, st.integers(-3, 400)).map(
    lambda drawn: DateRange(drawn[0], drawn[0] + timedelta(days=drawn[1]))
)


@given(today=DAYS, days=st.integers(1, 365))
@examples(100)
def test_a_lookback_of_n_has_exactly_n_days_and_never_today(today, days):
    looked_at = lookback(today, days)
    assert len(list(looked_at)) == len(looked_at) == days
    assert today not in looked_at
    assert today - ONE_DAY in looked_at
    assert min(looked_at) == today - timedelta(days=days)


@given(range_=RANGES)
@examples(100)
def test_a_range_contains_its_start_and_not_its_end(range_):
    days = list(range_)
    assert len(days) == len(range_)
    assert range_.end not in range_
    assert all(day in range_ for day in days)
    if range_.start < range_.end:
        assert days[0] == range_.start
        assert days[-1] == range_.end - ONE_DAY
    else:
        assert days == []
        assert range_.start not in range_


def test_nothing_but_days_is_in_a_range():
    assert "2026-01-01" not in DateRange(date(2026, 1, 1), date(2026, 1, 2))


@given(one=RANGES, other=RANGES)
@examples(150)
def test_an_intersection_has_exactly_the_days_of_both(one, other):
    assert set(one.intersect(other)) == set(one) & set(other)
    assert set(other.intersect(one)) == set(one.intersect(other))


@given(now=INSTANTS, settling=SETTLING)
@examples(150)
def test_the_newest_closed_day_is_closed_and_the_next_one_is_open(now, settling):
    newest = newest_closed_day(now, settling)
    assert not is_open(newest, now, settling)
    assert is_open(newest + ONE_DAY, now, settling)


@given(now=INSTANTS, settling=SETTLING, zone=ZONES)
@examples(100)
def test_an_instant_gives_the_same_days_in_every_time_zone(now, settling, zone):
    elsewhere = now.astimezone(zone)
    assert newest_closed_day(elsewhere, settling) == newest_closed_day(now, settling)
    for day in (now.date() - ONE_DAY, now.date(), now.date() + ONE_DAY):
        assert is_open(day, elsewhere, settling) == is_open(day, now, settling)


@given(now=INSTANTS, settling=SETTLING)
@examples(100)
def test_the_current_utc_day_is_always_open(now, settling):
    assert is_open(now.astimezone(UTC).date(), now, settling)


@pytest.mark.parametrize("minutes", [0, 1, 60, 24 * 60, 7 * 24 * 60])
def test_a_day_closes_at_the_instant_its_settling_delay_is_over(minutes):
    day, settling = date(2026, 3, 1), timedelta(minutes=minutes)
    closes = closed_at(day, settling)
    assert closes == at(date(2026, 3, 2), minutes / 60)
    assert is_open(day, closes - timedelta(microseconds=1), settling)
    assert not is_open(day, closes, settling)
    assert newest_closed_day(closes, settling) == day
    assert newest_closed_day(closes - timedelta(microseconds=1), settling) == day - ONE_DAY


@given(requested=RANGES, now=INSTANTS, settling=SETTLING, start=DAYS)
@examples(150)
def test_the_closed_part_has_all_days_that_may_be_looked_at_and_no_other(requested, now, settling, start):
    assert set(closed_part(requested, now, settling, start)) == {
        day for day in requested if day >= start and not is_open(day, now, settling)
    }


def test_a_leap_day_is_a_day_like_any_other():
    assert list(lookback(date(2028, 3, 1), 2)) == [date(2028, 2, 28), date(2028, 2, 29)]
    assert day_end(date(2028, 2, 29)) == datetime(2028, 3, 1, tzinfo=UTC)


@given(days=st.lists(DAYS, max_size=20))
@examples(100)
def test_partition_ids_are_eight_digits_that_sort_like_their_days(days):
    ids = [partition_id(day) for day in days]
    assert all(len(text) == 8 and text.isdigit() for text in ids)
    assert [datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date() for text in ids] == days
    assert sorted(ids) == [partition_id(day) for day in sorted(days)]


@given(days=st.lists(DAYS, max_size=20))
@examples(100)
def test_newest_first_names_each_day_once(days):
    ordered = newest_first([*days, *days])
    assert ordered == sorted(set(days), reverse=True)


@given(start=DAYS, length=st.integers(0, 800))
@examples(200)
def test_the_months_of_a_range_are_the_range(start, length):
    days = DateRange(start, start + timedelta(days=length))
    parts = list(months(days))
    assert [day for month in parts for day in month] == list(days)
    assert all(month_of(month.start) == day.year * 100 + day.month for month in parts for day in month)
    assert len(parts) == len({(day.year, day.month) for day in days})
