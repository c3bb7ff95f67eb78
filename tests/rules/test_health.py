"""The verdict: thresholds, since when a gap has waited, when people are told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.rules import health
from web_analytics.rules.decision import GapCount
from web_analytics.rules.health import Coverage, Measured, Thresholds
from web_analytics.rules.partitions import DateRange, closed_at

NOW = datetime(2026, 1, 20, 12, tzinfo=UTC)
SETTLING = timedelta(hours=1)
THRESHOLDS = Thresholds(60, 96, 30, 54, 95, 80)
STATS, BOUNCES = "web_pre_aggregated_stats", "web_pre_aggregated_bounces"
GOOD = Measured(
    coverage=Coverage({"stats": 100.0, "bounces": 100.0}, 0, 0, None, date(2026, 1, 19)),
    enabled_teams=10,
    teams_with_data=9,
    oldest_gap_since=None,
    last_decision_at=NOW - timedelta(hours=2),
    last_success_at=NOW - timedelta(hours=2),
    attempts=100,
    succeeded=99,
)


def with_gap(hours: float) -> Measured:
    return replace(
        GOOD,
        coverage=replace(GOOD.coverage, oldest_gap=date(2026, 1, 10)),
        oldest_gap_since=NOW - timedelta(hours=hours),
    )


def verdict(measured: Measured, thresholds: Thresholds = THRESHOLDS) -> str:
    return health.judge(measured, thresholds, NOW).verdict


def test_a_good_state_is_ok_without_reasons():
    judged = health.judge(GOOD, THRESHOLDS, NOW)
    assert (judged.verdict, judged.reasons, judged.sentence) == ("ok", (), "nothing to do")


@pytest.mark.parametrize(
    ("hours", "expected"), [(60, "ok"), (61, "degraded"), (96, "degraded"), (97, "failing")]
)
def test_the_oldest_gap(hours, expected):
    assert verdict(with_gap(hours)) == expected


def test_its_reason_says_since_when_and_what_to_run():
    [reason] = health.judge(with_gap(70), THRESHOLDS, NOW).reasons
    assert "2026-01-10, has waited 70 h" in reason.text
    assert reason.since == NOW - timedelta(hours=70)
    assert '"date_start": "2026-01-10", "date_end": "2026-01-20"' in reason.command
    assert '"max_partitions": 10' in reason.command


def test_the_command_fills_the_kinds_that_wait():
    measured = with_gap(70)
    measured = replace(measured, coverage=replace(measured.coverage, waiting_kinds=("orphan",)))
    [reason] = health.judge(measured, THRESHOLDS, NOW).reasons
    assert '"kinds": ["orphan"], "rebuild": true' in reason.command


@pytest.mark.parametrize(
    ("day", "expected"),
    [(date(2026, 1, 18), "degraded"), (date(2026, 1, 19), "ok"), (date(2026, 1, 16), "failing")],
)
def test_the_newest_complete_day(day, expected):
    assert verdict(replace(GOOD, coverage=replace(GOOD.coverage, newest_complete_day=day))) == expected


def test_no_complete_day_is_failing_only_if_there_is_data():
    nothing = replace(GOOD, coverage=replace(GOOD.coverage, newest_complete_day=None))
    assert verdict(nothing) == "failing"
    assert verdict(replace(nothing, enabled_teams=0, teams_with_data=0)) == "ok"


@pytest.mark.parametrize(
    ("attempts", "succeeded", "expected"),
    [(100, 95, "ok"), (100, 94, "degraded"), (100, 79, "failing"), (4, 0, "ok"), (0, 0, "ok")],
)
def test_the_success_rate(attempts, succeeded, expected):
    assert verdict(replace(GOOD, attempts=attempts, succeeded=succeeded)) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (timedelta(hours=7), "ok"),
        (timedelta(hours=9), "degraded"),
        (timedelta(hours=27), "failing"),
        (None, "degraded"),
    ],
)
def test_a_schedule_that_stands_still(last, expected):
    assert verdict(replace(GOOD, last_decision_at=NOW - last if last else None)) == expected
    assert verdict(replace(GOOD, last_decision_at=None, enabled_teams=0, teams_with_data=0)) == "ok"


def test_no_events_at_all_and_leftovers_are_degraded():
    assert verdict(replace(GOOD, teams_with_data=0)) == "degraded"
    assert verdict(replace(GOOD, leftovers=("2026-01-02",))) == "degraded"


def test_the_worst_reason_comes_first_and_is_the_verdict():
    judged = health.judge(replace(with_gap(100), teams_with_data=0), THRESHOLDS, NOW)
    assert [reason.severity for reason in judged.reasons] == ["failing", "degraded"]
    assert judged.verdict == "failing"


@given(
    hours=st.floats(0, 500), more=st.floats(0, 500), degraded=st.integers(0, 200), failing=st.integers(0, 200)
)
@examples(200)
def test_waiting_longer_is_never_better(hours, more, degraded, failing):
    thresholds = replace(THRESHOLDS, degraded_gap_hours=degraded, failing_gap_hours=failing)
    order = health.VERDICTS.index
    assert order(verdict(with_gap(hours), thresholds)) <= order(verdict(with_gap(hours + more), thresholds))


days = st.dates(date(2025, 12, 1), date(2026, 1, 18))
instants = st.datetimes(datetime(2026, 1, 1), datetime(2026, 1, 20), timezones=st.just(UTC))  # noqa: DTZ001


@given(oldest=days, before=st.none() | days, checked_at=instants, since=instants)
@examples(300)
def test_a_gap_waits_from_when_it_could_first_be_seen(oldest, before, checked_at, since):
    previous = {"oldest_gap": before, "oldest_gap_since": since if before else None, "checked_at": checked_at}
    found = health.gap_since(oldest, previous, SETTLING)
    assert found >= closed_at(oldest, SETTLING)
    if before is None or before > oldest:
        assert found >= checked_at  # a team that was enabled since: its old days have not waited yet
    assert health.gap_since(oldest, None, SETTLING) == closed_at(oldest, SETTLING)
    assert health.gap_since(None, previous, SETTLING) is None


@given(oldest=days, checks=st.lists(st.integers(1, 12), min_size=1, max_size=30))
@examples(100)
def test_the_waiting_of_one_gap_does_not_start_anew_with_each_check(oldest, checks):
    now = closed_at(oldest, SETTLING)
    since = health.gap_since(oldest, None, SETTLING)
    for hours in checks:
        now += timedelta(hours=hours)
        previous = {"oldest_gap": oldest, "oldest_gap_since": since, "checked_at": now}
        assert health.gap_since(oldest, previous, SETTLING) == since


DAY = date(2026, 1, 18)


def counts(*rows) -> list[GapCount]:
    return [GapCount(day, table, state, teams, 10) for day, table, state, teams in rows]


def test_coverage_counts_team_days_of_the_period_only():
    found = health.coverage(
        counts(
            (DAY, STATS, "complete", 3),
            (DAY, STATS, "missing", 1),
            (DAY, BOUNCES, "complete", 4),
            (DAY - timedelta(days=9), STATS, "missing", 4),
            (DAY - timedelta(days=1), STATS, "complete", 4),
            (DAY - timedelta(days=1), BOUNCES, "complete", 4),
            (DAY - timedelta(days=20), BOUNCES, "stale", 2),
        ),
        DateRange(date(2025, 12, 20), date(2026, 1, 20)),
        DAY - timedelta(days=6),
    )
    assert found.percent == {"stats": 87.5, "bounces": 100.0}
    assert found.missing_partitions == 2
    assert found.oldest_gap == DAY - timedelta(days=9)  # a stale day does not wait
    assert found.waiting_kinds == ("missing",)
    assert found.newest_complete_day == DAY - timedelta(days=1)
    assert found.stale_days == 1


def test_nothing_to_hold_is_full_coverage():
    found = health.coverage([], DateRange(DAY, DAY), DAY)
    assert found.percent == {"stats": 100.0, "bounces": 100.0}
    assert found.newest_complete_day is None


@pytest.mark.parametrize(
    ("now_is", "was", "told_hours_ago", "expected"),
    [
        ("ok", None, None, False),
        ("ok", "ok", None, False),
        ("degraded", None, None, True),
        ("degraded", "ok", None, True),
        ("degraded", "degraded", 23, False),
        ("degraded", "degraded", 24, True),
        ("degraded", "degraded", None, True),
        ("failing", "degraded", 1, True),
        ("ok", "failing", 1, True),
    ],
)
def test_people_are_told_of_a_change_and_once_a_day(now_is, was, told_hours_ago, expected):
    told = None if told_hours_ago is None else NOW - timedelta(hours=told_hours_ago)
    assert health.is_worth_a_message(now_is, was, told, NOW, timedelta(hours=24)) is expected
