"""The kept activity says what a scan of the source says, whenever and however often it is refreshed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support import at, examples, found_gaps, session_id
from web_analytics.build import steps
from web_analytics.clickhouse.connection import teams_table
from web_analytics.detection import activity
from web_analytics.detection.coverage import TEAM_DAYS_PER_STATEMENT, coverage_query, in_pieces
from web_analytics.rules.decision import LARGEST, in_order
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import GAP_KINDS, MISSING, STALE
from web_analytics.settings import Settings

TEAMS = (1, 2, 3)
SCANNED = Settings.load({"WEB_ANALYTICS_ACTIVITY": "scanned"})


def range_of(days) -> DateRange:
    return DateRange(min(days), max(days) + ONE_DAY)


def coverage(clickhouse, settings, days, **how):
    """Everything that the detection knows of these days."""
    query = coverage_query(clickhouse, settings, range_of(days), **how)
    rows = clickhouse.query(
        "detection/coverage",
        query.parameters,
        query.names,
        external_tables=[teams_table(TEAMS)],
    )
    return sorted(tuple(row.values()) for row in rows), query.names["activity_is_kept"]


def some_events(source, days):
    """Late, repeated and after-midnight events; events without a session; a team that is not enabled."""
    for team_id in (*TEAMS, 4):
        for offset, day in enumerate(days):
            visit = session_id(at(day, 23.5))
            source.event(team_id, at(day, 23.6), visit)
            source.event(team_id, at(day, 24.4), visit)  # after midnight, of the day before
            twice = source.event(team_id, at(day, 9), session_id(at(day, 9)))
            source.event(team_id, at(day, 9), session_id(at(day, 9)), event_uuid=twice)
            source.event(team_id, at(day, 11), "", event="$pageview")
            if offset % 2:
                source.event(
                    team_id, at(day, 10), session_id(at(day, 10)), ingested=at(day, 24 + 30 * team_id)
                )


def test_kept_and_scanned_activity_are_equal(source, settings, days):
    source.enable(*TEAMS)
    some_events(source, days(6))
    scanned, _ = coverage(source.clickhouse, SCANNED, days(6))
    assert len(scanned) >= 3 * 6
    before, was_kept = coverage(source.clickhouse, settings, days(6))
    assert (before, was_kept) == (scanned, False)
    activity.refresh(source.clickhouse, settings, range_of(days(6)))
    for may_be_behind in (False, True):
        kept, is_kept = coverage(source.clickhouse, settings, days(6), may_be_behind=may_be_behind)
        assert is_kept
        assert kept == scanned
    assert coverage(source.clickhouse, SCANNED, days(6))[0] == scanned


def test_refreshing_twice_changes_nothing(source, settings, days):
    some_events(source, days(3))
    wanted = range_of(days(3))
    activity.refresh(source.clickhouse, settings, wanted)
    first = kept_rows(source)
    for _ in range(2):
        activity.refresh(source.clickhouse, settings, wanted)
    assert kept_rows(source) == first
    assert first


def kept_rows(source):
    return source.clickhouse.client.execute(
        "SELECT partition_date, team_id, ingested_on, pageviews, events, newest_ingested_at "
        "FROM web_analytics_activity FINAL WHERE events > 0 ORDER BY ALL"
    )


def test_rows_ingested_since_are_found_whatever_their_day(source, settings, days):
    """Also by a reader that must not write, as a dry run does."""
    source.enable(*TEAMS)
    some_events(source, days(5)[:2])
    activity.refresh(source.clickhouse, settings, range_of(days(5)))
    late = days(5)[-1]
    source.event(3, at(late), session_id(at(late)), ingested=datetime.now(UTC))
    scanned, _ = coverage(source.clickhouse, SCANNED, days(5))
    assert coverage(source.clickhouse, settings, days(5)) == (scanned, True)
    assert coverage(source.clickhouse, settings, days(5), may_be_behind=True)[0] != scanned
    activity.refresh(source.clickhouse, settings, range_of(days(5)))
    assert coverage(source.clickhouse, settings, days(5), may_be_behind=True) == (scanned, True)


def test_teams_that_are_not_enabled_are_kept_too(source, settings, days):
    some_events(source, days(2))
    activity.refresh(source.clickhouse, settings, range_of(days(2)))
    assert {row[1] for row in kept_rows(source)} == {*TEAMS, 4}


def test_a_longer_lookback_extends_what_is_covered(source, settings, days):
    some_events(source, days(40))
    near, far = range_of(days(3)), range_of(days(40))
    activity.refresh(source.clickhouse, settings, near)
    assert not activity.known_range(source.clickhouse, settings).contains(far)
    assert activity.refresh(source.clickhouse, settings, far).contains(far)
    scans = source.clickhouse.client.execute(
        "SELECT kind, date_start, date_end FROM web_analytics_activity_scans WHERE kind = 'extension'"
    )
    assert all((end - start).days <= activity.DAYS_PER_SCAN for _, start, end in scans)
    assert coverage(source.clickhouse, settings, days(40)) == (
        coverage(source.clickhouse, SCANNED, days(40))[0],
        True,
    )


def test_the_weekly_scan_finds_what_came_with_an_old_ingestion_time_and_forgets_what_is_gone(
    source, settings, days
):
    source.enable(*TEAMS)
    some_events(source, days(4))
    wanted = range_of(days(4))
    activity.refresh(source.clickhouse, settings, wanted)
    source.event(2, at(days(4)[1]), session_id(at(days(4)[1])), ingested=at(days(4)[1], 1))
    source.clickhouse.client.execute("DELETE FROM events WHERE team_id = 3")
    activity.refresh(source.clickhouse, settings, wanted)
    scanned, _ = coverage(source.clickhouse, SCANNED, days(4))
    assert coverage(source.clickhouse, settings, days(4))[0] != scanned
    a_week_ago(source)
    activity.refresh(source.clickhouse, settings, wanted)
    assert coverage(source.clickhouse, settings, days(4)) == (scanned, True)


def test_a_weekly_scan_that_broke_off_begins_anew(source, settings, days):
    wanted = range_of(days(40))
    activity.refresh(source.clickhouse, settings, wanted)
    a_week_ago(source)
    assert not activity.refresh(source.clickhouse, settings, wanted).is_due_for_reconciliation
    scans = "web_analytics_activity_scans WHERE kind = 'reconciliation'"
    source.clickhouse.client.execute(
        f"DELETE FROM {scans} AND date_end = (SELECT max(date_end) FROM {scans})"
    )
    assert source.clickhouse.client.execute(f"SELECT count() FROM {scans}") == [(1,)]
    assert activity.known_range(source.clickhouse, settings).is_due_for_reconciliation


def a_week_ago(source, ago: timedelta = timedelta(days=8)) -> None:
    """As if everything so far had been scanned eight days ago, or so much earlier."""
    execute = source.clickhouse.client.execute
    rows = execute("SELECT * FROM web_analytics_activity_scans")
    names = [
        name
        for name, _ in execute("SELECT * FROM web_analytics_activity_scans LIMIT 0", with_column_types=True)[
            1
        ]
    ]
    position = names.index("scanned_at")
    execute("TRUNCATE TABLE web_analytics_activity_scans")
    execute(
        "INSERT INTO web_analytics_activity_scans VALUES",
        [(*row[:position], row[position] - ago, *row[position + 1 :]) for row in rows],
    )


def test_an_ingestion_time_from_the_future_does_not_move_the_watermark_past_now(source, settings, days):
    source.event(
        1, at(days(1)[0]), session_id(at(days(1)[0])), ingested=datetime.now(UTC) + timedelta(days=9)
    )
    kept = activity.refresh(source.clickhouse, settings, range_of(days(1)))
    assert kept.watermark <= kept.server_now


def test_a_clock_that_was_put_back_hides_no_event(source, settings, days):
    """Everything that is kept was scanned at instants that are ahead of the clock now."""
    source.enable(1)
    source.event(1, at(days(1)[0]), session_id(at(days(1)[0])))
    activity.refresh(source.clickhouse, settings, range_of(days(2)))
    for table in ("web_analytics_activity", "web_analytics_activity_scans"):
        source.clickhouse.client.execute(f"CREATE TABLE ahead AS {table}")
        source.clickhouse.client.execute(
            f"INSERT INTO ahead SELECT * REPLACE (scanned_at + INTERVAL 3 HOUR AS scanned_at) FROM {table}"
        )
        source.clickhouse.client.execute(f"EXCHANGE TABLES ahead AND {table}")
        source.clickhouse.client.execute("DROP TABLE ahead")
    source.event(1, at(days(1)[0], 13), session_id(at(days(1)[0], 13)), ingested=datetime.now(UTC))
    source.event(1, at(days(2)[1]), session_id(at(days(2)[1])), ingested=at(days(1)[0], 24))
    activity.refresh(source.clickhouse, settings, range_of(days(2)))
    kept, is_kept = coverage(source.clickhouse, settings, days(2), may_be_behind=True)
    assert is_kept
    assert kept == coverage(source.clickhouse, SCANNED, days(2))[0]
    # And what a build has read is newer than the scans before it.
    source.event(1, at(days(1)[0], 14), session_id(at(days(1)[0], 14)), ingested=at(days(1)[0], 14))
    steps.build_partition(source.clickhouse, settings, days(1)[0], [1])
    kept, _ = coverage(source.clickhouse, settings, days(2), may_be_behind=True)
    assert kept == coverage(source.clickhouse, SCANNED, days(2))[0]


def test_a_refresh_leaves_out_parts_without_new_rows(source, settings, days):
    """Of a part that was written before the watermark's day nothing is read."""
    source.clickhouse.client.execute(
        "INSERT INTO events (uuid, event, timestamp, team_id, inserted_at) "
        "SELECT generateUUIDv4(), '$pageview', %(at)s, 1, %(at)s FROM numbers(20000)",
        {"at": at(days(1)[0])},
    )
    activity.refresh(source.clickhouse, settings, range_of(days(2)))
    assert activity.known_range(source.clickhouse, settings).has_part_name
    tomorrow = activity.as_text(datetime.now(UTC) + timedelta(days=1))
    done = source.clickhouse.run(
        "detection/refresh_activity",
        {
            "date_start": min(days(2)),
            "date_end": max(days(2)) + ONE_DAY,
            "since": tomorrow,
            "scanned_at": tomorrow,
        },
        {"bucket_minutes": settings.bucket_minutes, "has_part_name": True},
    )
    assert done.rows_read < 20_000  # those of system.parts


@pytest.mark.thorough
# The first scan has seen nothing, so that the watermark is the beginning of time: the hour before it is in 2106.
@example([(0, -1, 0, False), (1, 0, 0, False)], 1)
@examples(8, thorough=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-20, 60), st.integers(0, 90), st.booleans()), max_size=12
    ),
    st.integers(1, 11),
)
def test_whenever_it_is_refreshed_the_answer_is_that_of_a_scan(source, settings, days, events, cut):
    """Events of some hour, ingested some hours later, come in before or after a refresh."""
    for table in ("events", "web_analytics_activity", "web_analytics_activity_scans"):
        source.clickhouse.client.execute(f"TRUNCATE TABLE {table}")
    first, now = days(5)[-1], datetime.now(UTC)
    for number, (team_id, hour, delay, has_session) in enumerate(events):
        if number == cut:
            activity.refresh(source.clickhouse, settings, range_of(days(5)))
        happened = at(first, hour)
        ingested = now if number >= cut else min(happened + timedelta(hours=delay), now)
        source.event(
            team_id, happened, session_id(at(first, hour - 1)) if has_session else "", ingested=ingested
        )
    scanned, _ = coverage(source.clickhouse, SCANNED, days(5))
    assert coverage(source.clickhouse, settings, days(5))[0] == scanned
    activity.refresh(source.clickhouse, settings, range_of(days(5)))
    assert coverage(source.clickhouse, settings, days(5), may_be_behind=True) == (scanned, True)


@pytest.mark.parametrize("kinds", [(MISSING,), GAP_KINDS])
def test_small_days_are_no_gaps_and_are_shown_as_such(source, days, kinds):
    settings = Settings.load({"WEB_ANALYTICS_MIN_DAILY_PAGEVIEWS": "3"})
    source.enable(1, 2)
    day = days(1)[0]
    for team_id, pageviews in ((1, 2), (2, 3)):
        for hour in range(pageviews):
            source.event(team_id, at(day, hour), session_id(at(day, hour)))
    gaps = found_gaps(source.clickhouse, settings, [day], [1, 2], kinds)
    assert {(gap.state, gap.teams, gap.source_pageviews) for gap in gaps} == {(MISSING, 1, 3)}
    rows, _ = coverage(source.clickhouse, settings, [day])
    assert [row[2:4] for row in rows if row[0] == 1] == [("small", "small")]


@pytest.mark.parametrize(("late", "is_stale"), [(1, False), (2, True)])
def test_a_day_is_stale_from_so_many_late_events_on(source, days, late, is_stale):
    settings = Settings.load({"WEB_ANALYTICS_STALE_MIN_EVENTS": "2"})
    source.enable(1)
    day = days(2)[1]
    source.event(1, at(day), session_id(at(day)), ingested=at(day, 13))
    steps.build_partition(source.clickhouse, settings, day, [1])
    for hour in range(late):
        source.event(1, at(day, hour), session_id(at(day, hour)), ingested=at(day, 30))
    for mode in (
        settings,
        Settings.load({"WEB_ANALYTICS_STALE_MIN_EVENTS": "2", "WEB_ANALYTICS_ACTIVITY": "scanned"}),
    ):
        gaps = found_gaps(source.clickhouse, mode, [day], [1], (STALE,))
        assert bool(gaps) == is_stale


def test_dates_of_priority_teams_go_first_then_the_largest(source, days):
    settings = Settings.load({"WEB_ANALYTICS_PRIORITY_TEAM_IDS": "2"})
    newest, middle, oldest = days(3)
    source.enable(1, 2)
    for day, team_id, pageviews in ((newest, 1, 1), (middle, 1, 3), (oldest, 2, 1)):
        for hour in range(pageviews):
            source.event(team_id, at(day, hour), session_id(at(day, hour)))
    gaps = found_gaps(source.clickhouse, settings, [newest, middle, oldest], [1, 2])
    assert in_order(gaps, "newest") == [oldest, newest, middle]
    assert in_order(gaps, LARGEST) == [oldest, middle, newest]


@pytest.mark.parametrize(("only_missing", "times", "most"), [(False, 1, 31), (True, 3, 64)])
def test_many_teams_are_looked_at_in_pieces(days, only_missing, times, most):
    year = DateRange(days(1)[0] - 365 * ONE_DAY, days(1)[0])
    for teams in (1, 200, 20_000, 100_000, 2_000_000):
        pieces = list(in_pieces(year, teams, only_missing=only_missing))
        assert [day for piece in reversed(pieces) for day in piece] == list(year)
        assert all(
            len(piece) == 1 or len(piece) * teams <= times * TEAM_DAYS_PER_STATEMENT for piece in pieces
        )
        # detection/missing.sql holds days in 64 bits
        assert all(len(piece) <= most for piece in pieces)
