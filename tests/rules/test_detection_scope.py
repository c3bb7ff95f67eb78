"""What a run looks at: its range, the kinds of gap it acts on, and which of the two schedules it stands for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.conf import BackfillConf
from web_analytics.detection.detector import is_nightly, rule_of, scope_of
from web_analytics.rules.decision import decide
from web_analytics.rules.partitions import ONE_DAY, DateRange, is_open, newest_closed_day
from web_analytics.rules.states import COMPLETE, GAP_KINDS, MISSING
from web_analytics.settings import Settings

NOW = datetime(2026, 5, 20, 14, 0, tzinfo=UTC)
NIGHTLY = datetime(2026, 5, 20, 2, 0, tzinfo=UTC)
SIX_HOURLY = datetime(2026, 5, 20, 12, 0, tzinfo=UTC)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def scope(conf=None, *, now=NOW, logical_date=None, **environment):
    settings = Settings.load({f"WEB_ANALYTICS_{name}": value for name, value in environment.items()})
    return scope_of(BackfillConf.parse(conf or {}, settings), settings, now, logical_date)


def rule(conf=None, *, now=NOW, logical_date=None, **environment):
    settings = Settings.load({f"WEB_ANALYTICS_{name}": value for name, value in environment.items()})
    parsed = BackfillConf.parse(conf or {}, settings)
    return rule_of(parsed, settings, scope_of(parsed, settings, now, logical_date), now)


@given(days_back=st.integers(1, 365))
@examples(50)
def test_days_back_looks_at_that_many_closed_days(days_back):
    partitions = scope({"days_back": days_back}).partitions
    assert len(partitions) == days_back
    assert partitions.end == NOW.date()


def test_within_the_settling_delay_yesterday_is_not_looked_at():
    just_after_midnight = datetime(2026, 5, 20, 0, 30, tzinfo=UTC)
    partitions = scope({"days_back": 3}, now=just_after_midnight).partitions
    assert list(partitions) == [date(2026, 5, 17), date(2026, 5, 18)]


def test_without_conf_the_lookback_is_the_settings():
    assert len(scope().partitions) == 30
    assert len(scope(BACKFILL_LOOKBACK_DAYS="5").partitions) == 5
    assert len(scope({"days_back": 9}, BACKFILL_LOOKBACK_DAYS="5").partitions) == 9


@given(
    now=st.builds(
        lambda minutes, zone: (NOW + timedelta(minutes=minutes)).astimezone(zone),
        st.integers(-1_000_000, 1_000_000),
        ZONES,
    ),
    days_back=st.integers(1, 365),
    settling=st.integers(0, 7 * 24 * 60),
)
@examples(100)
def test_no_scope_ever_holds_an_open_day_whatever_the_zone_of_the_clock(now, days_back, settling):
    looked_at = scope({"days_back": days_back}, now=now, BACKFILL_SETTLING_MINUTES=str(settling)).partitions
    assert not any(is_open(day, now, timedelta(minutes=settling)) for day in looked_at)
    same_instant = scope(
        {"days_back": days_back}, now=now.astimezone(UTC), BACKFILL_SETTLING_MINUTES=str(settling)
    )
    assert looked_at == same_instant.partitions


def test_an_explicit_range_is_half_open_and_loses_its_open_days():
    partitions = scope({"date_start": "2026-05-18", "date_end": "2026-05-25"}).partitions
    assert list(partitions) == [date(2026, 5, 18), date(2026, 5, 19)]
    assert not scope({"date_start": "2026-06-01", "date_end": "2026-06-08"}).partitions


def test_nothing_before_the_start_date_is_looked_at():
    partitions = scope({"days_back": 10}, PARTITIONS_START_DATE="2026-05-17").partitions
    assert min(partitions) == date(2026, 5, 17)
    assert not scope({"days_back": 1}, PARTITIONS_START_DATE="2026-06-01").partitions


@pytest.mark.parametrize(
    ("logical_date", "nightly"),
    [
        (NIGHTLY, True),
        (NIGHTLY.astimezone(timezone(timedelta(hours=5, minutes=30))), True),
        (SIX_HOURLY, False),
        (datetime(2026, 5, 20, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 5, 20, 2, 0, 0, 1, tzinfo=UTC), False),
        (datetime(2026, 5, 20, 2, 0, tzinfo=timezone(timedelta(hours=9))), False),
        (None, False),
    ],
)
def test_the_comprehensive_run_is_the_one_of_0200_utc(logical_date, nightly):
    assert is_nightly(logical_date) is nightly


def test_kinds_a_run_acts_on():
    assert scope(logical_date=SIX_HOURLY).states == (MISSING,)
    assert scope().states == (MISSING,)
    assert scope(logical_date=NIGHTLY).states == GAP_KINDS
    assert scope({"kinds": ["stale"]}).states == ("stale",)
    assert scope({"kinds": ["stale"]}, logical_date=NIGHTLY).states == ("stale",)
    rebuilt = {"date_start": "2026-05-01", "date_end": "2026-05-02", "rebuild": True}
    assert set(scope(rebuilt).states) == {*GAP_KINDS, COMPLETE}
    assert scope({**rebuilt, "kinds": ["stale"]}).states == ("stale",)
    assert rule({**rebuilt, "kinds": ["stale"]}).kinds == ("stale",)


def test_only_the_nightly_run_builds_daily_and_only_if_it_shall():
    assert rule(logical_date=NIGHTLY).daily_build_date == newest_closed_day(NOW, timedelta(hours=1))
    assert rule(logical_date=SIX_HOURLY).daily_build_date is None
    assert rule().daily_build_date is None
    assert rule(logical_date=NIGHTLY, DAILY_BUILD="false").daily_build_date is None


def test_the_rule_takes_its_numbers_from_the_conf_and_else_from_the_settings():
    by_settings = rule(
        BACKFILL_MIN_MISSING_PARTITIONS="5",
        BACKFILL_MAX_PARTITIONS_PER_RUN="2",
        BACKFILL_MAX_GAP_AGE_HOURS="12",
        BACKFILL_SETTLING_MINUTES="30",
    )
    assert by_settings.min_missing_partitions == 5
    assert by_settings.max_partitions == 2
    assert by_settings.max_gap_age == timedelta(hours=12)
    assert by_settings.settling == timedelta(minutes=30)
    by_conf = rule({"min_missing_partitions": 1, "max_partitions": 9}, BACKFILL_MIN_MISSING_PARTITIONS="5")
    assert (by_conf.min_missing_partitions, by_conf.max_partitions) == (1, 9)


def test_the_range_of_the_scope_is_half_open():
    two_days = scope({"days_back": 2})
    assert two_days.partitions == DateRange(date(2026, 5, 18), date(2026, 5, 18) + 2 * ONE_DAY)
    assert two_days.states == (MISSING,)


@pytest.mark.parametrize(
    ("conf", "environment", "said"),
    [
        (
            {"date_start": "2027-01-01", "date_end": "2027-01-03"},
            {},
            "no day from 2027-01-01 up to, not including, 2027-01-03 is closed yet: nothing is looked at",
        ),
        (
            {"date_start": "2026-01-01", "date_end": "2026-01-03"},
            {"PARTITIONS_START_DATE": "2026-02-01"},
            "all days up to, not including, 2026-01-03 lie before WEB_ANALYTICS_PARTITIONS_START_DATE, 2026-02-01: "
            "nothing is looked at",
        ),
    ],
)
@pytest.mark.parametrize("rebuild", [False, True])
def test_a_range_of_which_nothing_is_looked_at_is_not_called_complete(conf, environment, said, rebuild):
    decision = decide([], rule({**conf, "rebuild": rebuild}, **environment), NOW)
    assert (decision.backfill, decision.reason) == (False, said)
