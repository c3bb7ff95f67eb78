"""What the head of the coverage page is told: decisions with their scope, health, how far a backfill is, who waits."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import examples
from web_analytics.api.coverage import progress
from web_analytics.build import locks, steps
from web_analytics.build.locks import Owner
from web_analytics.clickhouse import history
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.rules.partitions import ONE_DAY

BACKFILL = "web_analytics_backfill"
STATUS, ESTIMATE = "/web-analytics/coverage/status", "/web-analytics/coverage/estimate"
NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


def decide(source, run_id, days, reason="why", status="backfill", **details):
    history.append(
        source.clickhouse,
        TaskIdentity(BACKFILL, run_id),
        kind="decision",
        status=status,
        reason=reason,
        team_count=2,
        details={"dates": [str(day) for day in days], "dates_left": 0, **details},
    )


def attempt(source, run_id, day, task_id="build_date.publish", status="succeeded"):
    history.append(
        source.clickhouse,
        TaskIdentity(BACKFILL, run_id, task_id),
        kind="attempt",
        status=status,
        partition_date=day,
    )


@pytest.fixture
def status(airflow_api, login, source):
    def ask():
        answer = airflow_api.get(STATUS, headers=login("viewer"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_nothing_has_happened_yet(status):
    told = status()
    assert (told["health"], told["scheduled"], told["newest"]) == (None, None, None)
    assert (told["builds"], told["locks"], told["seconds_per_date"]) == ([], [], None)


def test_the_schedules_decision_is_told_beside_that_of_a_run_of_one_cell(status, source, days):
    """After a rebuild of one green cell the page said "no day is missing" under "20 teams of 20 have gaps"."""
    two = days(2)
    decide(source, "scheduled__2026-01-02T00:00", two, "4 missing partitions reach the threshold 3",
           date_start=str(two[1]), date_end=str(two[0] + ONE_DAY), states=["missing"], team_ids=[])  # fmt: skip
    decide(source, "manual__later", [], "no day is missing", "skip", states=["missing"], team_ids=[2**63 - 1],
           date_start=str(two[0]), date_end=str(two[0] + ONE_DAY))  # fmt: skip
    told = status()
    assert told["scheduled"]["reason"] == "4 missing partitions reach the threshold 3"
    assert told["scheduled"]["team_ids"] == []
    assert told["newest"]["reason"] == "no day is missing"
    assert told["newest"]["team_ids"] == [str(2**63 - 1)]
    assert (told["newest"]["date_start"], told["newest"]["states"]) == (str(two[0]), ["missing"])


def test_the_newest_verdict_is_told(status, source):
    for verdict in ("ok", "failing"):
        history.append(
            source.clickhouse,
            TaskIdentity("web_analytics_health", "r"),
            kind="health",
            status=verdict,
            reason="a day has waited 100 h",
        )
    assert (status()["health"]["status"], status()["health"]["reason"]) == (
        "failing",
        "a day has waited 100 h",
    )


@pytest.mark.parametrize("level", [None, {"percent": 99.4, "budget_left_percent": 40.0}])
def test_the_service_level_is_what_the_newest_check_has_found(status, source, level):
    task = TaskIdentity("web_analytics_health", "r")
    history.append(source.clickhouse, task, kind="health", status="ok")
    assert status()["health"]["service_level"] is None
    history.append(source.clickhouse, task, kind="health", status="ok", details={"service_level": level})
    assert status()["health"]["service_level"] == level


def test_a_build_is_followed_date_by_date(status, source, days):
    three = days(3)
    decide(source, "r", three)
    [build] = status()["builds"]
    assert (build["dates"], build["published"], build["failed"]) == ([str(day) for day in three], [], [])
    assert build["seconds_left"] is None  # nothing was ever published
    attempt(source, "r", three[0])
    attempt(source, "r", three[1], "build_date.stage", "failed")
    [build] = status()["builds"]
    assert (build["published"], build["failed"]) == ([str(three[0])], [str(three[1])])
    assert build["seconds_left"] >= 0
    attempt(source, "r", three[1])
    assert status()["builds"][0]["failed"] == []


def test_a_date_that_another_run_holds_is_told_with_who_and_until_when(status, source, settings, days):
    day = days(1)[0]
    decide(source, "waiting", [day])
    locks.acquire(source.clickhouse, day, Owner(BACKFILL, "killed"))
    told = status()
    assert told["locks"] == [
        {"dag_id": BACKFILL, "run_id": "killed", "since": told["locks"][0]["since"], "date": str(day)}
    ]
    [wait] = told["builds"][0]["waits"]
    assert (wait["date"], wait["run_id"]) == (str(day), "killed")
    left = datetime.fromisoformat(wait["until"]) - datetime.fromisoformat(told["now"])
    assert abs(left - settings.lock_ttl) < timedelta(minutes=1)
    # taken over: the lock is the waiting run's now
    lock = locks.acquire(
        source.clickhouse,
        day,
        Owner(BACKFILL, "waiting"),
        activity=lambda owner: locks.RunActivity.ENDED,
    )
    told = status()
    assert [(each["run_id"], each["date"]) for each in told["locks"]] == [("waiting", str(day))]
    assert told["builds"][0]["waits"] == []
    locks.release(source.clickhouse, lock)
    assert status()["locks"] == []


def test_the_estimate_counts_dates_teams_and_rows(airflow_api, login, source, settings, days):
    three = days(3)
    source.enable(1, 2)
    source.visits([1, 2], three)
    asked = f"{ESTIMATE}?date_start={three[2]}&date_end={three[0] + ONE_DAY}"
    told = airflow_api.get(asked, headers=login("viewer")).json()
    assert (told["dates"], told["teams"], told["seconds"]) == (3, 2, None)
    assert told["rows"] > 0
    one = airflow_api.get(f"{asked}&team_ids=2,99", headers=login("viewer")).json()
    assert one["teams"] == 1
    decide(source, "r", three)
    for day in three:
        steps.build_partition(source.clickhouse, settings, day, [1, 2])
        attempt(source, "r", day)
    assert airflow_api.get(asked, headers=login("viewer")).json()["seconds"] > 0
    refused = airflow_api.get(
        f"{ESTIMATE}?date_start={three[0]}&date_end={three[0]}", headers=login("viewer")
    )
    assert refused.status_code == 400


@given(
    total=st.integers(1, 30),
    done=st.integers(0, 30),
    per_date=st.floats(1, 500),
    since=st.floats(0, 5000),
    usual=st.none() | st.floats(1, 500),
)
@examples(200)
def test_what_is_left_is_never_negative_and_goes_by_this_run(total, done, per_date, since, usual):
    dates = [f"day {number}" for number in range(total)]
    published = dates[:done]
    decided_at = NOW - timedelta(seconds=since + per_date * len(published))
    build = {
        "dates": dates,
        "published": published,
        "decided_at": decided_at,
        "last_published_at": decided_at + timedelta(seconds=per_date * len(published)),
    }
    left = progress.seconds_left(build, usual, NOW)
    if not published and usual is None:
        assert left is None
        return
    rate = per_date if published else usual
    assert left == pytest.approx(max(0, rate * (total - len(published)) - since), abs=0.01)


def test_who_may_end_runs_is_told_whose(airflow_api, login, dags_in_database):
    def cancellable(role):
        return airflow_api.get("/web-analytics/coverage/actions", headers=login(role)).json()["cancellable"]

    assert cancellable("viewer") == []
    assert cancellable("user") == [BACKFILL, "web_analytics_team_backfill"]


def test_what_asks_again_and_again_asks_little(airflow_api, login, source, days):
    decide(source, "r", days(3))
    answer = airflow_api.get(STATUS, headers=login("viewer"))
    queries = int(re.search(r"(\d+) queries", answer.headers["Server-Timing"])[1])
    assert queries <= 4
