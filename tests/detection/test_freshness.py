"""What dashboards are told of the tables: the view web_pre_aggregated_freshness and the query of docs/dashboards.md."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from tests.detection.test_kept_activity import a_week_ago
from tests.documentation.commands import blocks
from tests.support import at, session_id
from tests.tasks.test_cleanup_dag import answer
from web_analytics import schema
from web_analytics.build.steps import build_partition
from web_analytics.detection import activity
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.tables import BOUNCES, STATS

TEAM = 7


def freshness(clickhouse, team: int = TEAM) -> dict[date, dict[str, dict]]:
    """What the view says of a team, by day and table."""
    rows, columns = clickhouse.client.execute(
        "SELECT date, table, state, built_at, complete_through FROM web_pre_aggregated_freshness "
        "WHERE team_id = %(team)s",
        {"team": team},
        with_column_types=True,
    )
    found: dict[date, dict[str, dict]] = {}
    for row in rows:
        told = dict(zip((name for name, _ in columns), row, strict=True))
        found.setdefault(told["date"], {})[told["table"]] = told
    return found


def states(clickhouse, team: int = TEAM) -> dict[date, str]:
    """The same where it says one thing of both tables."""
    told = freshness(clickhouse, team)
    assert {len(tables) for tables in told.values()} <= {2}
    return {
        day: "/".join(dict.fromkeys(tables[table.name]["state"] for table in (STATS, BOUNCES)))
        for day, tables in told.items()
    }


def look(source, settings, first: date) -> datetime:
    """As a run that goes back to this day looks at the source; when it did."""
    known = activity.refresh(source.clickhouse, settings, DateRange(first, datetime.now(UTC).date()))
    assert known.scanned_at is not None
    return known.scanned_at


def test_a_day_is_complete_from_the_build_on_and_as_of_the_last_look(source, settings, days):
    newest, before = days(2)
    source.visits([TEAM], [newest, before])
    as_of = look(source, settings, before)
    built_from = datetime.now(UTC)
    build_partition(source.clickhouse, settings, newest, [TEAM])
    told = freshness(source.clickhouse)
    assert states(source.clickhouse) == {newest: "complete", before: "missing"}
    for table in (STATS, BOUNCES):
        complete, missing = told[newest][table.name], told[before][table.name]
        assert built_from <= complete["built_at"] <= datetime.now(UTC)
        assert complete["complete_through"] == as_of
        assert (missing["built_at"], missing["complete_through"]) == (None, None)


def test_what_was_not_looked_at_since_it_was_closed_is_open(source, settings, days):
    """So nobody takes a day without rows for a day without visitors when Airflow stands still."""
    clickhouse = source.clickhouse
    newest, before = days(2)
    today = datetime.now(UTC).date()
    source.visits([TEAM], [newest, before, today])
    as_of = look(source, settings, before)
    for day in (newest, before):
        build_partition(clickhouse, settings, day, [TEAM])
    assert states(clickhouse) == {today: "open", newest: "complete", before: "complete"}
    # The last look was when the newest of these days was over, but not settled.
    a_week_ago(source, as_of - (at(newest, 24) + settings.settling - timedelta(seconds=1)))
    assert states(clickhouse) == {today: "open", newest: "open", before: "complete"}
    clickhouse.client.execute("TRUNCATE TABLE web_analytics_activity_scans")
    assert set(states(clickhouse).values()) == {"open"}


def test_days_that_no_run_has_looked_at_are_unknown_and_others_not_told(source, settings, days):
    *_, first, unknown, outside = days(5)
    source.visits([TEAM], [first, unknown, outside])
    look(source, settings, first)
    for day in (first, unknown, outside):
        build_partition(source.clickhouse, settings, day, [TEAM])
    schema.create_freshness_view(source.clickhouse, replace(settings, partitions_start_date=unknown))
    assert states(source.clickhouse) == {first: "complete", unknown: "unknown"}


def test_a_team_that_is_not_enabled_or_was_deleted_is_told_like_any_other(source, settings, days, run_dag):
    """What a reader wants to know is what the rows are worth."""
    [newest] = days(1)
    source.enable(TEAM, 8)
    source.visits([TEAM, 8], [newest])
    look(source, settings, newest)
    build_partition(source.clickhouse, settings, newest, [TEAM, 8])
    source.enable(TEAM, enabled=False)
    assert states(source.clickhouse) == {newest: "complete"}
    conf = {"team_id": TEAM, "date_start": str(newest), "date_end": str(newest + ONE_DAY), "dry_run": False}
    with answer("Approve"):
        assert run_dag("web_analytics_cleanup", conf).state == "success"
    assert states(source.clickhouse) == {newest: "missing"}
    assert {told["built_at"] for told in freshness(source.clickhouse)[newest].values()} == {None}
    assert states(source.clickhouse, 8) == {newest: "complete"}


def test_without_kept_activity_there_is_no_view(source, settings):
    schema.create_freshness_view(source.clickhouse, replace(settings, activity="scanned"))
    tables = source.clickhouse.client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = 'web_pre_aggregated_freshness'"
    )
    assert tables == []


def test_conditions_on_team_and_date_reach_the_keys_of_all_tables(source, settings, days):
    source.visits([TEAM], days(2))
    look(source, settings, days(2)[1])
    for day in days(2):
        build_partition(source.clickhouse, settings, day, [TEAM])
    plan = "\n".join(
        line
        for (line,) in source.clickhouse.client.execute(
            "EXPLAIN indexes = 1 SELECT * FROM web_pre_aggregated_freshness "
            f"WHERE team_id IN (7, 9) AND date >= '{days(1)[0]}' AND date < '{days(1)[0] + ONE_DAY}'"
        )
    )
    reads = plan.split("ReadFromMergeTree (")[1:]
    assert {read.split(")")[0].split(".")[1] for read in reads} == {
        "web_analytics_activity",
        "web_analytics_backfill_ledger",
        STATS.name,
        BOUNCES.name,
    }
    day = (days(1)[0] - date(1970, 1, 1)).days
    for read in reads:
        [condition] = re.findall(r"PrimaryKey\n.*?Condition: ([^\n]*)", read, re.DOTALL)
        assert "team_id in 2-element set" in condition
        assert f"[{day}, +Inf)" in condition
        assert re.search(rf"\(-Inf, {day}\]", condition), condition


def query_of_the_documentation(team: int, days: DateRange) -> str:
    [query] = [
        block.text for block in blocks() if block.document == "docs/dashboards.md" and block.kind == "sql"
    ]
    for example, value in (
        ("123", str(team)),
        ("2026-03-01", str(days.start)),
        ("2026-04-01", str(days.end)),
    ):
        assert example in query
        query = query.replace(example, value)
    return query


def test_the_query_of_the_documentation_is_right_on_every_day(source, settings, days):
    """A day that is complete, missing, stale, idle or open; sessions over midnight; rows that occur twice."""
    clickhouse = source.clickhouse
    today = days(1)[0] + ONE_DAY  # the first day that is not closed
    built, idle, stale, newer, missing, newest = reversed(days(6))
    for team in (TEAM, 8):
        source.visits([team], [built, stale, newer, missing, newest, today])
        for day in (built, stale, newer, missing, newest):
            session = session_id(at(day, 23.7))
            for minute in (0, 10, 40):
                twice = source.event(team, at(day, 23.7) + timedelta(minutes=minute), session)
            source.event(team, at(day, 23.7) + timedelta(minutes=40), session, event_uuid=twice)
            source.event(team, at(day, 12), "")
    look(source, settings, built)
    for day in (built, stale, newer, newest):
        build_partition(clickhouse, settings, day, [TEAM, 8])
    source.event(TEAM, at(stale, 5), ingested=datetime.now(UTC))
    look(source, settings, built)
    assert states(clickhouse) == {
        built: "complete",
        stale: "stale",
        newer: "complete",
        missing: "missing",
        newest: "complete",
        today: "open",
    }

    def answer_of(end: date) -> tuple[dict, set]:
        days = DateRange(built, end)
        rows = clickhouse.client.execute(query_of_the_documentation(TEAM, days))
        expected = clickhouse.query(
            "validation/oracle_posthog",
            {"date_start": built, "date_end": end, "team_ids": [TEAM], "bucket_minutes": 60},
        )
        assert {day: counts for day, *counts, _, _ in rows} == {
            row["day"]: [row["pageviews"], row["session_estimate"]] for row in expected
        }
        return {day: read_from for day, *_, read_from, _ in rows}, {row[-1] for row in rows}

    read_from, complete_through = answer_of(today + ONE_DAY)
    assert read_from == {
        built: "tables",
        stale: "events",
        newer: "tables",
        missing: "events",
        newest: "tables",
        today: "events",
    }
    assert complete_through == {idle}
    for day, through in ((stale, newer), (missing, newest)):
        build_partition(clickhouse, settings, day, [TEAM])
        read_from, complete_through = answer_of(today + ONE_DAY)
        assert read_from[day] == "tables"
        assert complete_through == {through}
    assert answer_of(newer)[1] == {stale}
