"""``priority: most_queried``: what dashboards asked for, from the engine's own query log."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support import at, open_client
from web_analytics.clickhouse import sql
from web_analytics.detection import detector
from web_analytics.rules.decision import MOST_QUERIED, GapCount, in_order
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import MISSING

# The log of queries knows what others have asked of a database of this name.
pytestmark = pytest.mark.new_database

TEAMS = (1, 2, 3)


@pytest.fixture
def dashboards(source, clickhouse_server):
    """A connection that is not the package's."""
    [(database,)] = source.clickhouse.client.execute("SELECT currentDatabase()")
    client = open_client(clickhouse_server, database=database)
    yield client
    client.disconnect()


@pytest.fixture
def gaps(source, settings, days):
    """Three teams that lack five days; team 4 is not looked at, and lacks them too."""
    source.enable(*TEAMS)
    source.visits([*TEAMS, 4], days(5))
    return scope_of(days(5))


def scope_of(days: list[date]) -> detector.DetectionScope:
    return detector.DetectionScope(DateRange(min(days), max(days) + ONE_DAY), (MISSING,), nightly=False)


def counted(source, settings, scope, *, stored: bool = True) -> dict[date, int]:
    plan_id = uuid.uuid4().hex if stored else None
    if plan_id:
        detector.store_plan(source.clickhouse, settings, scope, TEAMS, plan_id)
    asked = detector.count_questions(source.clickhouse, settings, scope, TEAMS, plan_id, datetime.now(UTC))
    assert asked.unknown == ""
    return dict(asked.of_dates)


# What a dashboard asks → which of the five days that are missing it asks for; d0 is the newest, u0 its first second.
ASKS = "SELECT sumMerge(pageviews_count_state) FROM web_pre_aggregated_stats "
FORMS = {
    "WHERE team_id = 1 AND toDate(period_bucket) >= '{d2}'": {2, 1, 0},
    "WHERE team_id = 1 AND period_bucket >= '{d3} 00:00:00' AND period_bucket < '{d1} 23:59:59'": {3, 2, 1},
    "AS s WHERE and(equals(s.team_id, 1), greaterOrEquals(s.period_bucket, toDateTime('{d3} 00:00:00', 'UTC')), "
    "lessOrEquals(s.period_bucket, toDateTime('{d2} 00:00:00', 'UTC')))": {3, 2},
    "WHERE `team_id` IN (7, 1, 9) AND toDate(period_bucket) BETWEEN '{d1}' AND '{d0}'": {1, 0},
    "WHERE in(team_id, tuple(9, 1)) AND toDate(period_bucket) BETWEEN '{d1}' AND '{d0}'": {1, 0},
    "WHERE team_id = toUInt64(1) AND period_bucket >= toDateTime({u4}) AND period_bucket <= toDateTime({u3})": {
        4,
        3,
    },
    "WHERE team_id = 1 AND toDate(period_bucket) >= today() - 2": {1, 0},
    "WHERE team_id = 1 AND period_bucket >= now() - INTERVAL 3 DAY": {2, 1, 0},
    "WHERE team_id = 1": {0, 1, 2, 3, 4},
    # of a team that was not looked at, of none, of other days
    "WHERE team_id = 4 AND toDate(period_bucket) >= '{d2}'": set(),
    "WHERE team_id = team_id OR team_id > 1 GROUP BY team_id, host": set(),
    "WHERE team_id = 1 AND toDate(period_bucket) >= '2024-01-01' AND toDate(period_bucket) < '2024-02-01'": set(),
}


@pytest.mark.parametrize("form", FORMS)
def test_teams_and_days_are_found_in_what_dashboards_ask(dashboards, source, settings, gaps, days, form):
    dates = days(5)
    words = {f"d{number}": day for number, day in enumerate(dates)}
    words |= {f"u{number}": int(at(day, 0).timestamp()) for number, day in enumerate(dates)}
    for _ in range(2):
        dashboards.execute(ASKS + form.format(**words))
    dashboards.execute("SYSTEM FLUSH LOGS")
    expected = {dates[offset] for offset in FORMS[form]}
    if ("today" in form or "now" in form) and datetime.now(UTC).date() - ONE_DAY != dates[0]:
        expected -= {dates[max(FORMS[form])]}  # yesterday is still open
    for stored in (True, False):
        assert counted(source, settings, gaps, stored=stored) == dict.fromkeys(expected, 2)


def test_asking_how_fresh_days_are_is_asking_for_them(dashboards, source, settings, gaps, days):
    day = days(5)[3]
    dashboards.execute(
        "SELECT state FROM web_pre_aggregated_freshness "
        f"WHERE team_id = 3 AND date >= '{day}' AND date < '{day + ONE_DAY}'"
    )
    dashboards.execute("SYSTEM FLUSH LOGS")
    assert counted(source, settings, gaps) == {day: 1, day + ONE_DAY: 1}


def test_a_comment_of_the_query_says_it_too(dashboards, source, settings, gaps, days):
    asked, other = days(5)[3], days(5)[1]
    comment = f'{{"team_id": 2, "query": {{"dateRange": {{"date_from": "{asked}", "date_to": "{asked}"}}}}}}'
    dashboards.execute(f"{ASKS} WHERE period_bucket > '{other} 00:00:00'", settings={"log_comment": comment})
    dashboards.execute("SYSTEM FLUSH LOGS")
    assert counted(source, settings, gaps) == {asked: 1}


def test_the_packages_own_statements_and_failed_queries_are_no_questions(
    dashboards, source, settings, gaps, days
):
    source.clickhouse.query(
        "validation/oracle_stored_stats", {"date_start": days(5)[4], "date_end": days(5)[0], "team_ids": [1]}
    )
    with pytest.raises(Exception, match="no_such_column"):
        dashboards.execute(
            f"{ASKS} WHERE no_such_column AND team_id = 1 AND toDate(period_bucket) = '{days(1)[0]}'"
        )
    dashboards.execute("SYSTEM FLUSH LOGS")
    assert counted(source, settings, gaps) == {}


@pytest.mark.slow
def test_a_run_builds_first_what_dashboards_ask_for(dashboards, source, gaps, days, run_dag, monkeypatch):
    """By the conf, and by the setting in a run of the schedule."""
    wanted = [days(5)[3], days(5)[2]]
    for times, day in zip((3, 1), wanted, strict=True):
        for _ in range(times):
            dashboards.execute(
                f"{ASKS} WHERE team_id = 2 AND toDate(period_bucket) BETWEEN '{day}' AND '{day}'"
            )
    dashboards.execute("SYSTEM FLUSH LOGS")
    conf = {"days_back": 6, "max_partitions": 1}
    run = run_dag("web_analytics_backfill", {**conf, "priority": "most_queried"})
    assert run.state == "success"
    assert built(source) == {wanted[0]}
    monkeypatch.setenv("WEB_ANALYTICS_BACKFILL_PRIORITY", "most_queried")
    assert run_dag("web_analytics_backfill", conf).state == "success"
    assert built(source) == set(wanted)
    reasons = source.clickhouse.client.execute(
        "SELECT reason FROM web_analytics_backfill_log WHERE kind = 'decision'"
    )
    assert all("the 1 most queried of" in reason for (reason,) in reasons)


def built(source) -> set[date]:
    rows = source.clickhouse.client.execute(
        "SELECT DISTINCT toDate(period_bucket) FROM web_pre_aggregated_stats"
    )
    return {day for (day,) in rows}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "instead", "unknown"),
    [
        ("system.query_log", "system.no_such_log", "the server keeps no query_log"),
        (
            "max_rows_to_read = 100000000",
            "max_rows_to_read = 1",
            "the query log of the last 1 days is too large",
        ),
    ],
)
def test_without_a_log_that_can_be_read_the_newest_go_first(
    source, settings, gaps, days, run_dag, monkeypatch, tmp_path, place, instead, unknown
):
    file = tmp_path / "detection" / "count_questions.sql"
    file.parent.mkdir()
    text = (sql.SQL_ROOT / "detection" / "count_questions.sql").read_text()
    assert place in text
    file.write_text(text.replace(place, instead))
    monkeypatch.setenv(sql.DIRECTORY_VARIABLE, str(tmp_path))
    conf = {"days_back": 6, "max_partitions": 1, "priority": "most_queried"}
    assert run_dag("web_analytics_backfill", conf).state == "success"
    assert built(source) == {days(1)[0]}
    [(reason,)] = source.clickhouse.client.execute(
        "SELECT reason FROM web_analytics_backfill_log WHERE kind = 'decision'"
    )
    assert f"the 1 newest ({unknown}" in reason


def test_other_priorities_do_not_look(source, gaps, run_dag, caplog):
    conf = {"days_back": 6, "max_partitions": 1, "priority": "largest"}
    assert run_dag("web_analytics_backfill", conf).state == "success"
    assert "count_questions" not in caplog.text


def test_equal_dates_are_in_the_order_of_the_newest():
    day = date(2026, 1, 10)
    found = [
        GapCount(day - timedelta(days=back), "web_pre_aggregated_stats", MISSING, 1, 10) for back in range(4)
    ]
    asked = {day - timedelta(days=2): 5, day - timedelta(days=3): 5}
    order = [(day - each.partition_date).days for each in found]
    assert [(day - each).days for each in in_order(found, MOST_QUERIED, asked)] == [2, 3, 0, 1]
    assert [(day - each).days for each in in_order(found, MOST_QUERIED)] == order
