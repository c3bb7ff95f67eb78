"""The statement that tells days with suspiciously few pageviews says what the rule says, whatever the activity holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.detection import low_volume
from web_analytics.rules import low_volume as rule
from web_analytics.rules.partitions import DateRange

DAYS = DateRange(date(2026, 3, 2), date(2026, 3, 16))
FIRST = DAYS.start - rule.HISTORY - timedelta(days=10)
SPAN = (DAYS.end - FIRST).days


@st.composite
def teams(draw) -> dict[int, dict[date, int]]:
    """Pageviews of teams by day: levels with noise, a beginning, idle weekdays, and days lost in part or whole, of some teams
    or of most of them together."""
    found = {}
    is_common = draw(st.booleans())
    lost_days = draw(st.sets(st.integers(SPAN - len(DAYS), SPAN - 1), min_size=1, max_size=3))
    for team_id in range(1, draw(st.sampled_from([1, 3, 12, 24])) + 1):
        level = draw(st.sampled_from([1000, 5000] if is_common else [0, 5, 99, 100, 101, 1000, 10**9]))
        spread = draw(st.sampled_from([0, 0.02] if is_common else [0, 0, 0.05, 0.2, 1]))
        noise = draw(st.lists(st.floats(-1, 1), min_size=7, max_size=23))
        begins = 0 if is_common else draw(st.sampled_from([0, 0, 0, 12, 40, SPAN - 30, SPAN - 8]))
        idle = set() if is_common else draw(st.sets(st.integers(0, 6), max_size=3))
        left = draw(st.sampled_from([0, 0.05, 0.1, 0.3, 0.5, 0.59, 0.6, 0.61, 0.79, 0.8, 1, 1]))
        of_team = {}
        for number in range(begins, SPAN):
            count = level * (1 + spread * noise[number % len(noise)])
            count *= left if number in lost_days else 1
            if number % 7 not in idle and int(count):
                of_team[FIRST + timedelta(days=number)] = int(count)
        for number in draw(st.sets(st.integers(0, SPAN - 1), max_size=4)):
            of_team[FIRST + timedelta(days=number)] = draw(st.integers(0, 2 * level))
        found[team_id] = of_team
    return found


@pytest.mark.thorough
@given(
    pageviews=teams(),
    known=st.sampled_from([FIRST, FIRST, FIRST + timedelta(days=20), DAYS.start - timedelta(days=30)]),
    percent=st.sampled_from([1, 60, 75, 95]),
    min_pageviews=st.sampled_from([1, 100]),
    muted=st.sets(st.integers(1, 24), max_size=3),
    days=st.integers(0, len(DAYS) - 1),
)
@examples(20, thorough=120)
def test_the_statement_says_what_the_rule_says(
    web_analytics_schema, settings, pageviews, known, percent, min_pageviews, muted, days
):
    clickhouse = web_analytics_schema
    keep(clickhouse, pageviews)
    clickhouse.client.execute("TRUNCATE TABLE web_pre_aggregated_teams")
    clickhouse.client.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, enabled, mute_low_volume) VALUES",
        [(team_id, True, True) for team_id in muted],
    )
    settings = replace(settings, low_volume_percent=percent, low_volume_min_pageviews=min_pageviews)
    asked = DateRange(DAYS.start + timedelta(days=days), DAYS.end)
    selected = {team_id: of_team for team_id, of_team in pageviews.items() if team_id % 5}
    wanted = rule.judge(
        selected, asked, known_from=known, percent=percent, min_pageviews=min_pageviews, muted=muted
    )
    found = low_volume.ask(clickhouse, settings, asked, list(selected) or [99], known)
    assert found == wanted


def keep(clickhouse, pageviews: dict[int, dict[date, int]]) -> None:
    """The kept activity of these days; what one row in three has was ingested on two days."""
    rows = []
    for team_id, of_team in pageviews.items():
        for day, count in of_team.items():
            parts = (count // 3, count - count // 3) if (team_id + day.day) % 3 == 0 else (count,)
            rows += [(day, team_id, day + timedelta(days=late), part) for late, part in enumerate(parts)]
    clickhouse.client.execute("TRUNCATE TABLE web_analytics_activity")
    clickhouse.client.execute(
        "INSERT INTO web_analytics_activity (partition_date, team_id, ingested_on, pageviews) VALUES", rows
    )
