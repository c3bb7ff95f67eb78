"""Tables in the logs of tasks: what a person reads there."""

from __future__ import annotations

from datetime import date

from web_analytics.detection.detector import describe_plan
from web_analytics.rules.decision import GapCount
from web_analytics.rules.gaps import Gap, describe
from web_analytics.rules.health import Health
from web_analytics.rules.partitions import DateRange
from web_analytics.tasks import health
from web_analytics.validation import DayResult, Difference
from web_analytics.validation import describe as describe_days

DAYS = DateRange(date(2026, 1, 1), date(2026, 1, 3))
LARGEST = 2**63 - 1


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_gaps_of_any_team_are_aligned_and_numbers_are_whole():
    gaps = [
        Gap(LARGEST, "web_pre_aggregated_stats", "missing", DAYS, 1_000_000, 48.0),
        Gap(7, "web_pre_aggregated_bounces", "idle", DAYS, 0, None),
    ]
    header, first, second = describe(gaps, "__eu").splitlines()
    assert first.split()[:8] == [
        "web_pre_aggregated_stats", str(LARGEST), "missing", "2026-01-01", "2026-01-03", "2", "48.0", "1000000",
    ]  # fmt: skip
    assert first.split(maxsplit=8)[8].startswith("airflow dags trigger web_analytics_backfill__eu --conf '{")
    assert second.split() == ["web_pre_aggregated_bounces", "7", "idle", "2026-01-01", "2026-01-03", "2", "0"]
    assert header.index("team") + len("team") == first.index(str(LARGEST)) + len(str(LARGEST))


def test_metrics_lose_no_digit():
    text = health.describe(
        Health("ok"), {"rows_read": 12_345_678_901, "success_percent": 99.523, "attempts": 5}
    )
    assert cells(text)[1:] == [
        ["attempts", "5"], ["rows_read", "12,345,678,901"], ["success_percent", "99.523"],
    ]  # fmt: skip


def test_a_plan():
    gap = GapCount(DAYS.start, "web_pre_aggregated_stats", "missing", 3, 40)
    text = describe_plan([DAYS.start], [gap])
    assert cells(text)[1] == ["2026-01-01", "web_pre_aggregated_stats", "missing", "3", "40"]


def test_days_and_their_worst_differences():
    wrong = Difference("2026-01-01", LARGEST, "web_pre_aggregated_stats", "wrong", "pageviews", 5, 4)
    result = DayResult("2026-01-01", "wrong", 1, 5, 0, {"wrong": 1}, [LARGEST], [wrong])
    days, differences = describe_days([result]).split("\n\n")
    assert cells(days)[1][:5] == ["2026-01-01", "wrong", "1", "5", "0"]
    assert cells(differences)[1] == [
        "2026-01-01", str(LARGEST), "web_pre_aggregated_stats", "wrong", "pageviews", "5", "4",
    ]  # fmt: skip
