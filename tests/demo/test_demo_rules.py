"""The demonstration's rules about dates, its coverage table and its comparison: no ClickHouse needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import access_log, coverage, ui, verification
from demo.__main__ import parse_arguments
from demo.flow import conf_for_days
from demo.sample_data import planned_gaps
from web_analytics.rules.partitions import DateRange, lookback, newest_closed_day
from web_analytics.settings import Settings

SETTINGS = Settings.load({})
DAY = date(2026, 3, 10)
INSTANTS = st.datetimes(datetime(2024, 6, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(INSTANTS)
def test_one_run_with_its_defaults_fills_all_gaps_at_any_hour(now):
    newest_closed = newest_closed_day(now, SETTINGS.settling)
    gaps = planned_gaps(now.date(), newest_closed, SETTINGS.lookback_days)
    days = [gap.day for gap in gaps]
    looked_at = lookback(now.date(), SETTINGS.lookback_days)
    assert len(set(days)) == len(days) <= SETTINGS.max_partitions_per_run
    assert all(day in looked_at and day <= newest_closed for day in days)
    assert days[0] == newest_closed
    assert days[-1] == looked_at.start
    assert days == sorted(days, reverse=True)


def test_gaps_are_of_every_form():
    gaps = planned_gaps(DAY, DAY - timedelta(days=1))
    assert sum(gap.is_unbuilt or len(gap.lost_from) == 2 for gap in gaps) == 4
    assert [[table.short_name for table in gap.lost_from] for gap in gaps if len(gap.lost_from) == 1] == [
        ["stats"],
        ["bounces"],
    ]
    assert [gap.unbuilt_teams for gap in gaps if gap.unbuilt_teams] == [2]


@pytest.mark.parametrize(
    ("ages", "conf"),
    [
        ([1, 2, 3, 4], {}),
        ([1], {"min_missing_partitions": 2}),
        ([1, 2], {}),
        (list(range(1, 10)), {"max_partitions": 9}),
        ([1, 45], {"days_back": 45}),
        (list(range(1, 400)), {"days_back": 365, "max_partitions": 100}),
    ],
)
def test_conf_changes_only_what_the_log_needs(ages, conf):
    assert conf_for_days([DAY - timedelta(days=age) for age in ages], DAY, SETTINGS) == conf


def row(team_id: int, day: date = DAY, **measures: int) -> dict:
    empty = dict.fromkeys(("pageviews", "sessions", "bounces", "duration", "session_estimate", "left_out"), 0)
    return {"team_id": team_id, "day": day, **empty, **measures}


def compared(expected, stats, bounces, team_ids=(1, 2)):
    dates = DateRange(DAY, DAY + timedelta(days=2))
    return verification.compare(expected, {"stats": stats, "bounces": bounces}, dates, team_ids)


def test_equal_tables_are_verified():
    rows = [row(1, pageviews=7, sessions=3), row(2, DAY + timedelta(days=1), pageviews=2, sessions=1)]
    outcome = compared(rows, rows, rows)
    assert outcome.is_exact
    assert str(outcome) == "verified: dates=2 tables=2 teams=2 pageviews=9 lost=0 duplicated=0"


def test_lost_and_duplicated_do_not_cancel_each_other():
    expected = [row(1, pageviews=7), row(2, pageviews=4)]
    outcome = compared(expected, [row(1, pageviews=8), row(2, pageviews=4)], [row(1, pageviews=7)])
    assert (outcome.lost, outcome.duplicated) == (4, 1)
    assert not outcome.is_exact
    assert str(outcome).startswith("NOT verified: ")


def test_the_first_difference_names_everything():
    expected = [row(2, pageviews=7, duration=9)]
    outcome = compared(expected, expected, [row(2, pageviews=7, duration=10)])
    assert str(outcome.differences[0]) == (
        "team 2, 2026-03-10, web_pre_aggregated_bounces, duration: expected 9, found 10"
    )
    assert (outcome.lost, outcome.duplicated) == (0, 0)


def test_rows_of_a_team_that_is_not_enabled_are_duplicated_pageviews():
    outcome = compared([row(3, pageviews=5)], [row(3, pageviews=5)], [], team_ids=(1,))
    assert (outcome.pageviews, outcome.duplicated, outcome.is_exact) == (0, 5, False)


def test_days_outside_the_range_do_not_count():
    outside = DAY - timedelta(days=1)
    assert compared([row(1, outside, pageviews=5)], [], [row(2, outside, pageviews=1)]).is_exact


def test_pageviews_without_a_session_make_no_date():
    outcome = compared([row(1, left_out=5)], [], [])
    assert (outcome.dates, outcome.left_out, outcome.is_exact) == (0, 5, True)


def test_coverage_states():
    days = [DAY - timedelta(days=age) for age in range(4)]
    expected = [row(team_id, day, pageviews=1) for team_id in (1, 2) for day in days[:3]]
    stored = {"stats": [row(1, days[1], pageviews=1)], "bounces": expected}
    covered = coverage.cover(days, days[1], expected, stored)
    assert [each.day for each in covered] == days
    assert [each.state("stats") for each in covered] == ["open", "partial", "MISSING", "idle"]
    assert [each.state("bounces") for each in covered] == ["open", "complete", "complete", "idle"]
    text = coverage.describe(covered)
    assert text.splitlines()[-1] == (
        "2 dates with something missing; 2 (table, date) pairs; 3 (table, date, team) triples."
    )
    assert max(len(line) for line in text.splitlines()) <= 100


def test_coverage_without_gaps_says_so():
    covered = coverage.cover([DAY], DAY, [row(1, pageviews=1)], dict.fromkeys(("stats", "bounces"), [row(1)]))
    assert coverage.describe(covered).splitlines()[-1] == "Nothing is missing."


@pytest.mark.parametrize(
    ("arguments", "command", "log"),
    [
        ([], "run", None),
        (["run"], "run", None),
        (["run", "--access-log", "a.log"], "run", "a.log"),
        (["--access-log", "a.log"], "run", "a.log"),
        (["verify"], "verify", None),
    ],
)
def test_arguments(arguments, command, log):
    parsed = parse_arguments(arguments)
    assert (parsed.command, parsed.access_log and str(parsed.access_log)) == (command, log)


def test_a_checkout_has_one_ui_at_a_time(tmp_path):
    for _ in range(2):
        with ui.alone(tmp_path / "home"):
            second = ui.alone(tmp_path / "home")
            with pytest.raises(RuntimeError, match="make ui runs already"):
                second.__enter__()


def test_a_log_of_years_is_built_as_far_as_a_run_reaches_and_the_rest_is_named():
    """Two days more than a year apart: the run saw one, and its threshold counted both."""
    pageviews = {
        date(2023, 12, 31): 4,
        DAY - timedelta(days=366): 3,
        DAY - timedelta(days=365): 2,
        DAY - timedelta(days=1): 1,
    }
    reach = access_log.within_reach(pageviews, DAY, 365, SETTINGS.partitions_start_date)
    assert reach.pageviews == {DAY - timedelta(days=365): 2, DAY - timedelta(days=1): 1}
    assert reach.not_built == (
        "4 page requests of 2023-12-31 are not built: it lies before WEB_ANALYTICS_PARTITIONS_START_DATE (2024-01-01).",
        "3 page requests of 2025-03-09 are not built: it lies 366 days back, and a run looks back 365 days at most.",
    )
    one_left = access_log.within_reach(
        {DAY - timedelta(days=400): 1, DAY - timedelta(days=1): 1}, DAY, 365, SETTINGS.partitions_start_date
    )
    assert conf_for_days(list(one_left.pageviews), DAY, SETTINGS) == {"min_missing_partitions": 2}


def test_what_was_taken_but_is_nowhere_expected_is_lost():
    rows = [row(1, pageviews=7)]
    stored = {"stats": rows, "bounces": rows}
    dates = DateRange(DAY, DAY + timedelta(days=1))
    assert verification.compare(rows, stored, dates, (1,), taken=7).is_exact
    outcome = verification.compare(rows, stored, dates, (1,), taken=9)
    assert (outcome.lost, outcome.is_exact) == (4, False)
