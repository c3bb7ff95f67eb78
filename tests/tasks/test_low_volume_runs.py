"""Days with suspiciously few pageviews, through real runs of health and diagnostics."""

from __future__ import annotations

import json
import random
import uuid
from datetime import date, timedelta

import pytest

from tests.support import Source, at, session_id
from tests.tasks.test_diagnostics_dag import result_of
from tests.tasks.test_health_dag import checks
from web_analytics.build.steps import build_partition
from web_analytics.detection import activity
from web_analytics.rules.low_volume import WEEKDAYS
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.teams import registry
from web_analytics.teams.registry import Registration

WEEKS = 5
TEAMS = {1: 0, 2: 80, 3: 195}
USUALLY = 200


def pageviews(source: Source, team_id: int, day: date, count: int) -> None:
    rows = []
    for number in range(count):
        moment = at(day, 1 + 20 * number / count)
        rows.append(
            (
                uuid.UUID(int=random.getrandbits(128)),
                "$pageview",
                json.dumps({"$pathname": "/", "$host": "example.com"}),
                moment,
                team_id,
                f"visitor-{number}",
                uuid.UUID(int=number + 1),
                session_id(moment),
                moment.replace(microsecond=0),
                moment,
            )
        )
    source.clickhouse.client.execute(
        "INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, "
        "_timestamp, inserted_at) VALUES",
        rows,
    )


@pytest.fixture
def few_pageviews(source, settings, newest_closed):
    """On the newest closed day team 1 has no pageviews at all, team 2 has 40 % of its usual ones, team 3 nearly all. Built."""
    source.enable(*TEAMS)
    for team_id, found in TEAMS.items():
        for week in range(1, WEEKS + 1):
            pageviews(source, team_id, newest_closed - timedelta(weeks=week), USUALLY + week)
        pageviews(source, team_id, newest_closed, found)
    oldest = newest_closed - timedelta(weeks=WEEKS)
    activity.refresh(source.clickhouse, settings, DateRange(oldest, newest_closed + ONE_DAY))
    for week in range(WEEKS + 1):
        build_partition(source.clickhouse, settings, newest_closed - timedelta(weeks=week), TEAMS)
    return source


def test_health_tells_teams_far_below_their_usual_weekday_and_asks_for_no_backfill(
    few_pageviews, run_dag, newest_closed
):
    assert run_dag("web_analytics_health").state == "success"
    status, reason, details = checks(few_pageviews.clickhouse)[-1]
    weekday = WEEKDAYS[newest_closed.weekday()]
    assert status == "degraded"
    assert f"2 teams have under 40 % of their usual {weekday} on {newest_closed}: 1, 2" in reason
    [told] = [each for each in details["reasons"] if "usual" in each["text"]]
    assert not told["command"]
    assert details["metrics"]["low_volume_team_days"] == 2
    assert details["metrics"]["missing_partitions"] == 0
    assert details["oldest_gap"] is None

    report = result_of(
        run_dag("web_analytics_diagnostics", {"days_back": 7, "team_ids": [2, 3]}), "show_data_gaps"
    )
    day = {"date": newest_closed.isoformat(), "pageviews": 80, "usual_pageviews": USUALLY + 3}
    assert report["low_days"] == [{"team_id": 2, **day}]
    assert report["command"] == ""


def test_a_muted_team_is_not_told_and_late_events_end_it(few_pageviews, run_dag, newest_closed):
    clickhouse = few_pageviews.clickhouse
    registry.change(clickhouse, Registration(1, True, "UTC", 7), {"mute_low_volume": True}, "somebody")
    assert run_dag("web_analytics_health").state == "success"
    assert "1 team has under 40 % of its usual" in checks(clickhouse)[-1][1]
    pageviews(few_pageviews, 2, newest_closed, USUALLY - TEAMS[2])
    range_of_day = {"date_start": str(newest_closed), "date_end": str(newest_closed + timedelta(days=1))}
    stale = {**range_of_day, "kinds": ["stale"], "rebuild": True}
    assert run_dag("web_analytics_backfill", stale).state == "success"
    assert run_dag("web_analytics_health").state == "success"
    assert checks(clickhouse)[-1][:2] == ("ok", "nothing to do")


def test_where_it_is_off_nothing_is_asked(few_pageviews, run_dag, monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_LOW_VOLUME_PERCENT", "0")
    assert run_dag("web_analytics_health").state == "success"
    _, reason, details = checks(few_pageviews.clickhouse)[-1]
    assert "usual" not in reason
    assert not {"low_volume_team_days", "fallen_teams_percent"} & set(details["metrics"])
