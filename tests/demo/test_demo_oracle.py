"""The oracle on events written by hand, with answers worked out by hand."""

from __future__ import annotations

import uuid
from datetime import date, timedelta

import pytest

from demo import verification
from tests.support import at, session_id
from web_analytics.rules.partitions import ONE_DAY, DateRange

DAY = date(2026, 3, 10)
NEXT = DAY + ONE_DAY
DATES = DateRange(DAY, DAY + timedelta(days=3))


def answers(source, minutes: int = 60) -> dict:
    """day -> (pageviews, sessions, bounces, duration, left_out) of team 1."""
    return {
        row["day"]: tuple(row[name] for name in ("pageviews", "sessions", "bounces", "duration", "left_out"))
        for row in verification.expected_rows(source.clickhouse, DATES, (1,), minutes)
    }


def test_a_session_over_midnight_belongs_to_the_day_it_began(source):
    session = session_id(at(DAY, 23.9))
    source.event(1, at(DAY, 23.9), session)
    source.event(1, at(NEXT, 0.1), session)
    assert answers(source) == {DAY: (2, 1, 0, 720, 0)}


@pytest.mark.parametrize(("milliseconds", "buckets"), [(-1, 1), (0, 2)])
def test_24_hours_after_its_start_a_session_goes_on_in_the_events_own_bucket(source, milliseconds, buckets):
    session = session_id(at(DAY, 23))
    source.event(1, at(DAY, 23), session)
    source.event(1, at(NEXT, 23) + timedelta(milliseconds=milliseconds), session)
    expected = {DAY: (2, 1, 0, 86399, 0)} if buckets == 1 else {DAY: (1, 1, 1, 0, 0), NEXT: (1, 1, 1, 0, 0)}
    assert answers(source) == expected


def test_events_before_the_start_of_their_session_lie_in_their_own_bucket(source):
    session = session_id(at(NEXT, 0.5))
    source.event(1, at(DAY, 23.5), session)
    source.event(1, at(NEXT, 0.5), session)
    source.event(1, at(NEXT, 0.75), session)
    assert answers(source) == {DAY: (1, 1, 1, 0, 0), NEXT: (2, 1, 0, 900, 0)}


def test_the_newest_version_counts_even_if_it_is_no_pageview(source):
    session = session_id(at(DAY))
    source.event(1, at(DAY), session)
    changed = source.event(1, at(DAY) + timedelta(seconds=4), session)
    source.event(
        1,
        at(DAY) + timedelta(seconds=4),
        session,
        event="search",
        event_uuid=changed,
        ingested=at(DAY, 14),
    )
    assert answers(source) == {DAY: (1, 1, 1, 4, 0)}


def test_the_same_row_twice_is_one_event(source):
    session = session_id(at(DAY))
    for _ in range(2):
        source.event(1, at(DAY), session, event_uuid=uuid.UUID(int=7))
    assert answers(source) == {DAY: (1, 1, 1, 0, 0)}


def test_a_click_or_ten_seconds_are_no_bounce(source):
    for hour, event, seconds in ((1, "$autocapture", 1), (2, "custom", 10), (3, "custom", 9)):
        session = session_id(at(DAY, hour))
        source.event(1, at(DAY, hour), session)
        source.event(1, at(DAY, hour) + timedelta(seconds=seconds), session, event=event)
    assert answers(source) == {DAY: (3, 3, 1, 20, 0)}


def test_duration_counts_the_seconds_that_begin(source):
    session = session_id(at(DAY))
    source.event(1, at(DAY) + timedelta(milliseconds=900), session)
    source.event(1, at(DAY) + timedelta(milliseconds=1100), session)
    assert answers(source) == {DAY: (2, 1, 0, 1, 0)}


def test_without_a_pageview_there_is_no_session(source):
    source.event(1, at(DAY), event="$autocapture")
    assert answers(source) == {}


@pytest.mark.parametrize(
    "session", ["", "not-an-id", session_id(at(DAY), version=4)], ids=["none", "no id", "UUIDv4"]
)
def test_pageviews_without_a_valid_session_are_counted_apart(source, session):
    source.event(1, at(DAY), session)
    source.event(1, at(DAY), session, event="custom")
    assert answers(source) == {DAY: (0, 0, 0, 0, 1)}


def test_narrower_buckets_split_what_follows_24_hours_after_the_start(source):
    session = session_id(at(DAY, 1))
    for minutes in (0, 20, 40):
        source.event(1, at(NEXT, 5) + timedelta(minutes=minutes), session)
    assert answers(source) == {NEXT: (3, 1, 0, 2400, 0)}
    assert answers(source, 30) == {NEXT: (3, 2, 1, 1200, 0)}
    assert answers(source, 15) == {NEXT: (3, 3, 3, 0, 0)}
