"""What the coverage page is told: every (team, day, table) in its state, the worst teams first, page by page."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from clickhouse_driver import Client
from hypothesis import given
from hypothesis import strategies as st

from tests.detection.test_low_volume import keep
from tests.support import Source, at, examples, set_up, states
from web_analytics.api.coverage import content
from web_analytics.api.coverage.ranking import GapCounts, TeamGaps, added_up, in_order, worst_first
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.detection import activity, low_volume
from web_analytics.detection.kept_states import read_versions
from web_analytics.errors import BadSetting, QueryFailed
from web_analytics.parsers import MAX_TEAM_ID
from web_analytics.rules.partitions import ONE_DAY, DateRange, is_open, months, newest_closed_day
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings

SETTINGS = Settings.load({})
NAMES = {code: name for name, code in content.CODES.items()}
MOMENTS = st.datetimes(datetime(2024, 6, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


# ---- rules


@given(
    now=MOMENTS,
    length=st.integers(1, 366),
    gaps=st.dictionaries(st.integers(0, 365), st.sampled_from([*GAP_KINDS, "complete", "idle"])),
    enabled=st.booleans(),
    looked_at=st.integers(0, 400),
)
@examples(200)
def test_every_day_has_one_state_and_open_days_are_never_gaps(now, length, gaps, enabled, looked_at):
    today = now.date()
    days = DateRange(today - timedelta(days=length - 1), today + ONE_DAY)
    known = {days.start + timedelta(days=offset): state for offset, state in gaps.items()}
    known_from = today - timedelta(days=looked_at)
    line = content.line_of_states(
        days, known, enabled=enabled, now=now, settings=SETTINGS, known_from=known_from
    )
    assert len(line) == length
    for day, code in zip(days, line, strict=True):
        state = NAMES[code]
        if day < SETTINGS.partitions_start_date:
            assert state == "outside"
        elif not enabled:
            assert state == "not enabled"
        elif is_open(day, now, SETTINGS.settling):
            assert state == "open"
        elif day < known_from:
            assert state == "unknown"
        else:
            assert state == known.get(day, "idle")


@given(now=MOMENTS, days=st.integers(1, 365))
@examples(100)
def test_the_last_days_are_complete_ones_and_today(now, days):
    shown = content.range_to_show(now, SETTINGS, days)
    assert len(shown) == days + 1
    assert shown.end == now.date() + ONE_DAY


@given(now=MOMENTS, ages=st.lists(st.integers(0, 1000), max_size=20))
@examples(200)
def test_a_runs_dates_are_shown_as_far_as_a_year_goes(now, ages):
    dates = sorted(now.date() - timedelta(days=age) for age in ages)
    shown = content.range_around(dates, now, SETTINGS)
    assert 0 < len(shown) <= 366
    assert not dates or dates[0] in shown
    if dates and (now.date() - dates[0]).days < 365:
        assert all(day in shown for day in dates)


@pytest.mark.parametrize("days", [0, -1, 366, 10**9])
def test_a_range_that_is_no_year_is_refused(days):
    with pytest.raises(BadSetting, match="days is"):
        content.range_to_show(datetime.now(UTC), SETTINGS, days)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(2026, 1, 2), date(2026, 1, 2)),
        (date(2026, 1, 2), date(2026, 1, 1)),
        (date(2026, 1, 1), None),
        (None, date(2026, 1, 1)),
        (date(2024, 1, 1), date(2026, 1, 1)),
    ],
)
def test_dates_that_are_no_range_are_refused(start, end):
    with pytest.raises(BadSetting, match="date_"):
        content.range_to_show(datetime.now(UTC), SETTINGS, None, start, end)


@given(st.text(max_size=40))
@examples(300)
def test_a_filter_is_ids_or_refused(text):
    try:
        parsed = content.parse_team_ids(text)
    except BadSetting:
        return
    assert all(0 <= team_id <= MAX_TEAM_ID for team_id in parsed)
    assert all(character in "0123456789," or character.isspace() for character in text)


def test_a_filter_takes_the_largest_id_and_nothing_larger():
    assert content.parse_team_ids(" 3,17 3 ") == (3, 17)
    assert content.parse_team_ids(str(MAX_TEAM_ID)) == (MAX_TEAM_ID,)
    for text in (str(MAX_TEAM_ID + 1), "-1", "1;2", "٣", "1.5", "<b>", ",".join(["1"] * 1001)):
        with pytest.raises(BadSetting, match="team_ids"):
            content.parse_team_ids(text)


@given(st.dictionaries(st.integers(0, 50), st.builds(TeamGaps, *[st.integers(0, 3)] * 5), max_size=20))
@examples(200)
def test_no_team_is_ranked_before_a_worse_one(gaps):
    teams = frozenset(range(51))
    ranked = worst_first(teams, gaps)
    assert sorted(ranked) == sorted(teams)
    totals = [gaps.get(team, TeamGaps()).total for team in ranked]
    assert totals == sorted(totals, reverse=True)


def test_teams_are_ordered_by_id_and_by_their_oldest_gap():
    teams = frozenset({1, 2, 3, 10})
    gaps = {
        10: TeamGaps(missing=1, oldest_gap=date(2026, 1, 1)),
        2: TeamGaps(missing=9, oldest_gap=date(2026, 1, 5)),
    }
    assert in_order("worst", teams, gaps) == [2, 10, 1, 3]
    assert in_order("oldest", teams, gaps) == [10, 2, 1, 3]
    assert in_order("id", teams, gaps) == [1, 2, 3, 10]


# ---- on the engine


def view(
    days: list[date],
    page: int = 1,
    size: int = 25,
    teams: tuple[int, ...] | None = None,
    everyone: bool = False,
):
    return content.View(DateRange(min(days), max(days) + ONE_DAY), teams, everyone, page, size)


def read(source: Source, asked: content.View) -> dict:
    return content.read_page(source.clickhouse, SETTINGS, asked, datetime.now(UTC))


def shown_states(page: dict) -> dict[tuple[int, date], tuple[str, str]]:
    start = date.fromisoformat(page["date_start"])
    return {
        (int(team["team_id"]), start + timedelta(days=offset)): (NAMES[pair[0]], NAMES[pair[1]])
        for team in page["teams"]
        for offset, pair in enumerate(zip(team["states"]["stats"], team["states"]["bounces"], strict=True))
    }


@pytest.fixture(scope="module")
def gapped(clickhouse_server):
    """Teams 1 to 7 with traffic on 4 days; team n up to 4 lacks n days in both tables, team 6 is stale on one and team
    7 has lost the bounces of one. 8 is enabled without traffic, 9 and 10 are not enabled. For tests that only read."""
    four = [newest_closed_day(datetime.now(UTC), SETTINGS.settling) - timedelta(days=age) for age in range(4)]
    with database(clickhouse_server, "coverage_page") as connection:
        source = Source(connection)
        source.enable(*range(1, 9))
        source.enable(9, enabled=False)
        source.visits([*range(1, 8), 10], four, per_day=2)
        for offset, day in enumerate(four):
            complete = [team for team in range(1, 8) if team > 4 or team <= offset]
            build_partition(connection, SETTINGS, day, complete)
        source.event(6, at(four[1], 22), ingested=at(four[1], 23))
        connection.client.execute(
            "DELETE FROM web_pre_aggregated_bounces WHERE team_id = 7 AND toDate(period_bucket) = %(day)s "
            "SETTINGS mutations_sync = 2, lightweight_deletes_sync = 2",
            {"day": four[0]},
        )
        yield source, four


@contextmanager
def database(server, name: str):
    """The package's connection to a database of this module's own, with its schema."""
    Client(server.host, port=server.port).execute(f"CREATE DATABASE {name}")
    with pytest.MonkeyPatch.context() as patch, ClickHouse("clickhouse_default") as connection:
        patch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri(name))
        set_up(connection, SETTINGS)
        patch.undo()
        yield connection


def test_the_page_shows_what_the_detection_says(gapped):
    source, four = gapped
    page = read(source, view(four))
    found = states(source.clickhouse, SETTINGS, four, list(range(1, 9)))
    shown = shown_states(page)
    assert shown == {
        (team, day): found.get((team, day), ("idle", "idle")) for team in range(1, 9) for day in four
    }
    counted = Counter(state for pair in found.values() for state in pair)
    assert {kind: page["totals"][kind] for kind in GAP_KINDS} == {kind: counted[kind] for kind in GAP_KINDS}
    assert counted["missing"]
    assert counted["stale"]
    assert page["totals"]["oldest_gap"] == four[3].isoformat()
    assert page["totals"]["enabled_teams"] == 8


def test_the_worst_teams_come_first(gapped):
    source, four = gapped
    page = read(source, view(four))
    # those that lack days, of two with as many gaps the one that misses, the stale one, those without gaps by id
    assert [int(team["team_id"]) for team in page["teams"]] == [4, 3, 2, 1, 6, 7, 5, 8]
    assert [team["gaps"] for team in page["teams"]] == [8, 6, 4, 2, 2, 1, 0, 0]


@pytest.mark.parametrize("size", [1, 3, 5])
def test_pages_have_every_team_once_and_the_same_totals(gapped, size):
    source, four = gapped
    whole = read(source, view(four, size=100))
    pages = [read(source, view(four, page=number, size=size)) for number in range(1, 8 // size + 2)]
    assert [team for page in pages for team in page["teams"]] == whole["teams"]
    assert all(page["totals"] == whole["totals"] for page in pages if page["teams"])
    assert all(len(page["teams"]) <= size for page in pages)


def test_teams_that_are_not_enabled_are_shown_when_asked_for(gapped):
    source, four = gapped
    everyone = read(source, view(four, everyone=True))
    assert [int(team["team_id"]) for team in everyone["teams"]][-2:] == [9, 10]
    assert shown_states(everyone)[10, four[0]] == ("not enabled", "not enabled")
    filtered = read(source, view(four, teams=(10, 3)))
    assert [(team["team_id"], team["enabled"]) for team in filtered["teams"]] == [("3", True), ("10", False)]
    # a filter is no change of who is enabled
    assert filtered["totals"]["enabled_teams"] == 8


def test_the_largest_id_is_not_rounded(source, days):
    largest = 2**63 - 1
    source.enable(largest)
    source.visits([largest], days(1))
    page = read(source, view(days(1)))
    assert page["teams"][0]["team_id"] == str(largest)
    assert shown_states(page) == {(largest, days(1)[0]): ("missing", "missing")}


def test_today_is_open_and_days_before_the_start_are_outside(gapped):
    source, _ = gapped
    today = datetime.now(UTC).date()
    now = read(source, view([today], teams=(1,)))
    assert set(shown_states(now).values()) == {("open", "open")}
    before = read(source, view([SETTINGS.partitions_start_date - ONE_DAY], teams=(1,)))
    assert set(shown_states(before).values()) == {("outside", "outside")}


def test_without_enabled_teams_the_page_is_empty(source, days):
    page = read(source, view(days(2)))
    assert page["teams"] == []
    assert page["totals"]["enabled_teams"] == page["totals"]["teams"] == 0


def test_the_page_says_as_of_when_it_knows_the_events(source, days):
    two = days(2)
    source.enable(1)
    source.visits([1], two)
    assert read(source, view(two))["as_of"] is None
    activity.refresh(source.clickhouse, SETTINGS, DateRange(two[1], two[0] + ONE_DAY))
    build_partition(source.clickhouse, SETTINGS, two[0], [1])
    refreshed = activity.known_range(source.clickhouse, SETTINGS).scanned_at
    source.event(1, at(two[0], 22), ingested=datetime.now(UTC))
    page = read(source, view(two))
    assert datetime.fromisoformat(page["as_of"]) == refreshed
    # the table is seen as it is now, the event that has arrived since is not seen
    assert shown_states(page)[1, two[0]] == ("complete", "complete")
    assert read(source, view([two[1] - ONE_DAY]))["as_of"] is None
    scanned = Settings.load({"WEB_ANALYTICS_ACTIVITY": "scanned"})
    page = content.read_page(source.clickhouse, scanned, view(two), datetime.now(UTC))
    assert page["as_of"] is None
    assert shown_states(page)[1, two[0]] == ("stale", "stale")


def test_days_that_no_run_has_looked_at_are_unknown(source, days):
    """As far back as scheduled runs look the page reads the events until one has looked there."""
    newest, before, oldest = days(3)
    # Today is one day further than the newest closed day, or two.
    settings = replace(SETTINGS, lookback_days=(datetime.now(UTC).date() - before).days)
    source.enable(1)
    source.visits([1], [newest, before, oldest])

    def shown(*of_days: date, settings: Settings = settings) -> dict:
        return content.read_page(source.clickhouse, settings, view(of_days), datetime.now(UTC))

    for looked_at in ([], [newest], [before, newest]):
        if looked_at:
            needed = DateRange(min(looked_at), newest + ONE_DAY)
            activity.refresh(source.clickhouse, settings, needed)
        page = shown(newest, before, oldest)
        assert shown_states(page) == {
            (1, newest): ("missing", "missing"),
            (1, before): ("missing", "missing"),
            (1, oldest): ("unknown", "unknown"),
        }
        assert (page["known_from"], page["closed_from"]) == (before.isoformat(),) * 2
        assert (page["totals"]["missing"], page["totals"]["oldest_gap"]) == (4, before.isoformat())
        assert page["totals"]["unknown"] == 2
    page = shown(oldest)
    assert shown_states(page) == {(1, oldest): ("unknown", "unknown")}
    assert (page["totals"]["missing"], page["totals"]["unknown"]) == (0, 2)
    # A cell that somebody asks about is looked at.
    cell = content.read_cell(source.clickhouse, settings, 1, oldest, datetime.now(UTC))
    assert [table["state"] for table in cell["tables"]] == ["missing", "missing"]
    scanned = shown(oldest, settings=replace(settings, activity="scanned"))
    assert shown_states(scanned) == {(1, oldest): ("missing", "missing")}
    activity.refresh(source.clickhouse, settings, DateRange(oldest, newest + ONE_DAY))
    assert shown_states(shown(oldest)) == {(1, oldest): ("missing", "missing")}


def test_a_cell_has_the_numbers_of_source_and_tables(gapped):
    source, four = gapped
    now = datetime.now(UTC)
    half = content.read_cell(source.clickhouse, SETTINGS, 7, four[0], now)
    assert half["source_pageviews"] == 4
    [stats, bounces] = half["tables"]
    assert (stats["state"], stats["pageviews"], stats["sessions"], stats["run_id"]) == (
        "complete",
        4,
        2,
        "local",
    )
    assert (bounces["state"], bounces["pageviews"], bounces["rows"]) == ("missing", 0, 0)
    assert (stats["rows_are_gone"], bounces["rows_are_gone"]) == (False, True)
    assert datetime.fromisoformat(stats["built_at"]) <= now
    nothing = content.read_cell(source.clickhouse, SETTINGS, 8, four[0], now)
    assert [table["state"] for table in nothing["tables"]] == ["idle", "idle"]
    assert nothing["tables"][0]["built_at"] is None
    stranger = content.read_cell(source.clickhouse, SETTINGS, 10, four[0], now)
    assert [table["state"] for table in stranger["tables"]] == ["not enabled", "not enabled"]
    assert stranger["source_pageviews"] == 4


def test_a_cell_tells_the_failures_since_the_last_publication(gapped):
    source, four = gapped
    task = TaskIdentity("web_analytics_backfill", "some run", "build_date.publish")
    failed = {"kind": "attempt", "status": "failed", "partition_date": four[0]}
    history.append(source.clickhouse, task, **failed, reason="the assembled day is not complete")

    def reasons() -> list[str]:
        cell = content.read_cell(source.clickhouse, SETTINGS, 1, four[0], datetime.now(UTC))
        return [failure["reason"] for failure in cell["failures"]]

    assert reasons() == ["the assembled day is not complete"]
    history.append(source.clickhouse, task, kind="attempt", status="succeeded", partition_date=four[0])
    assert reasons() == []
    history.append(source.clickhouse, task, **failed, reason="again")
    assert reasons() == ["again"]
    # What a server or a driver said may name hosts and users; the task's log has it.
    history.append(
        source.clickhouse,
        task,
        **failed,
        reason="build/fill_events failed in ClickHouse with code 210: db-7.internal:9000",
        error_code=210,
    )
    said = 'The team selection strategy project_settings failed: no server at "db-7.internal" (10.0.0.7), port 5432'
    history.append(source.clickhouse, task, **failed, reason=said)
    selection, query = reasons()[:2]
    assert "project_settings failed. The task's log" in selection
    assert "code 210: the server could not be reached" in query
    assert "internal" not in selection + query


def test_decisions_come_newest_first_and_a_run_knows_its_dates(source, days):
    four = days(4)
    for number, status in enumerate(["skip", "backfill"]):
        history.append(
            source.clickhouse,
            TaskIdentity("web_analytics_backfill", f"run {number}"),
            kind="decision",
            status=status,
            reason=f"reason {number}",
            details={"dates": [day.isoformat() for day in four[:number]], "dates_left": 2},
        )
    history.append(
        source.clickhouse,
        TaskIdentity("web_analytics_backfill", "run 1"),
        kind="attempt",
        status="failed",
        partition_date=four[3],
    )
    newest, oldest = content.read_decisions(source.clickhouse)
    assert (newest["run_id"], newest["status"], newest["reason"]) == ("run 1", "backfill", "reason 1")
    assert (newest["dates"], newest["dates_left"], oldest["dates"]) == ([four[0].isoformat()], 2, [])
    assert content.dates_of_run(source.clickhouse, "web_analytics_backfill", "run 1") == [four[3], four[0]]
    assert content.dates_of_run(source.clickhouse, "web_analytics_backfill", "run 0") == []
    assert content.dates_of_run(source.clickhouse, "another", "run 1") == []


def count_gaps(counts: GapCounts, clickhouse, *asked) -> dict[int, TeamGaps]:
    return added_up(clickhouse.side_by_side(counts.questions(SETTINGS, *asked)))


def test_counts_are_kept_until_something_is_written(source, days):
    two = days(2)
    days_shown = DateRange(two[1], two[0] + ONE_DAY)
    teams = frozenset({1, 2})
    source.enable(*teams)
    source.visits([1, 2], two, per_day=1)
    counts = GapCounts()

    def known() -> activity.KnownRange:
        return activity.known_range(source.clickhouse, SETTINGS)

    def count() -> tuple[dict[int, int], int]:
        before = len(source.clickhouse.statistics)
        found = count_gaps(
            counts, source.clickhouse, days_shown, teams, known(), read_versions(source.clickhouse)
        )
        return {team: gaps.total for team, gaps in found.items()}, len(source.clickhouse.statistics) - before

    # the source is scanned, so nothing is kept
    assert count()[0] == {1: 4, 2: 4}
    source.visits([1], [two[0]], per_day=1)
    assert count()[0] == {1: 4, 2: 4}
    activity.refresh(source.clickhouse, SETTINGS, days_shown)
    asked = count()[1]
    found, asked_again = count()
    assert found == {1: 4, 2: 4}
    assert asked_again < asked
    # a build, a deletion and newly known events are seen at once
    build_partition(source.clickhouse, SETTINGS, two[0], [1, 2])
    assert count()[0] == {1: 2, 2: 2}
    build_partition(source.clickhouse, SETTINGS, two[1], [2])
    assert count()[0] == {1: 2}
    source.clickhouse.client.execute(
        "ALTER TABLE web_pre_aggregated_stats DROP PARTITION ID '" + two[0].strftime("%Y%m%d") + "'"
    )
    assert count()[0] == {1: 3, 2: 1}
    source.event(2, at(two[1], 22), ingested=datetime.now(UTC))
    activity.refresh(source.clickhouse, SETTINGS, days_shown)
    assert count()[0] == {1: 3, 2: 3}
    assert count_gaps(counts, source.clickhouse, days_shown, frozenset(), known(), {}) == {}


def test_who_looks_for_a_team_is_answered_from_what_is_counted_of_all(source, days):
    [day] = days(1)
    shown = view([day])
    source.enable(*range(1, 31))
    source.visits(range(1, 31), [day], per_day=1)
    activity.refresh(source.clickhouse, SETTINGS, shown.days)

    def statements(asked: content.View, *teams: int) -> int:
        before = len(source.clickhouse.statistics)
        page = read(source, asked)
        assert page["totals"]["missing"] == 2 * len(teams)
        return len(source.clickhouse.statistics) - before

    of_first = statements(shown, *range(1, 31))
    assert statements(shown, *range(1, 31)) == of_first - 1
    assert statements(replace(shown, team_ids=(3, 30)), 3, 30) == of_first - 1
    source.enable(31)
    assert statements(replace(shown, team_ids=(3, 31)), 3) == of_first


def test_what_several_ask_at_once_is_asked_of_clickhouse_once(source, days):
    two = days(2)
    shown = DateRange(two[1], two[0] + ONE_DAY)
    source.enable(1)
    source.visits([1], two, per_day=1)
    activity.refresh(source.clickhouse, SETTINGS, shown)
    known = activity.known_range(source.clickhouse, SETTINGS)
    counts = GapCounts()

    def ask(_: int) -> tuple[int, int]:
        with source.clickhouse.another() as connection:
            found = count_gaps(counts, connection, shown, frozenset({1}), known, read_versions(connection))
            return found[1].total, len(connection.statistics) - 1

    with ThreadPoolExecutor(6) as readers:
        answers = list(readers.map(ask, range(6)))
    assert [total for total, _ in answers] == [4] * 6
    assert sum(asked for _, asked in answers) == len(list(months(shown)))


def test_what_failed_is_asked_again(source, days):
    [day] = days(1)
    shown = DateRange(day, day + ONE_DAY)
    source.enable(1)
    source.visits([1], [day], per_day=1)
    activity.refresh(source.clickhouse, SETTINGS, shown)
    known = activity.known_range(source.clickhouse, SETTINGS)
    counts = GapCounts()
    execute = source.clickhouse.client.execute
    execute("RENAME TABLE web_pre_aggregated_stats TO away")
    with pytest.raises(QueryFailed, match="code 60"):
        count_gaps(counts, source.clickhouse, shown, frozenset({1}), known, read_versions(source.clickhouse))
    execute("RENAME TABLE away TO web_pre_aggregated_stats")
    assert (
        count_gaps(counts, source.clickhouse, shown, frozenset({1}), known, read_versions(source.clickhouse))[
            1
        ].total
        == 2
    )


def test_only_teams_with_gaps_and_the_rows_that_a_reader_has(source, days):
    two = days(2)
    source.enable(1, 2, 3)
    source.visits([1, 2], two)
    for day in two:
        build_partition(source.clickhouse, SETTINGS, day, [1])
    asked = view(two)
    assert [team["team_id"] for team in read(source, asked)["teams"]] == ["2", "1", "3"]
    narrowed = read(source, replace(asked, only_gaps=True))
    assert [team["team_id"] for team in narrowed["teams"]] == ["2"]
    assert narrowed["totals"]["teams"] == 1
    kept = read(source, replace(asked, only_gaps=True, rows=(3, 99, 1, 2)))
    assert [team["team_id"] for team in kept["teams"]] == ["3", "1", "2"]
    assert content.parse_rows("17,3,3") == (17, 3)


def test_days_with_suspiciously_few_pageviews_are_told_whichever_teams_are_shown(
    source, newest_closed, settings, monkeypatch
):
    asked = []
    ask = low_volume.ask
    monkeypatch.setattr(low_volume, "ask", lambda *question: asked.append(question) or ask(*question))
    source.enable(1, 2, 3)
    every_day = [newest_closed - timedelta(days=age) for age in range(70)]
    keep(source.clickhouse, {team: dict.fromkeys(every_day[team == 2 :], 400 + team) for team in (1, 2, 3)})
    now = activity.known_range(source.clickhouse, settings).server_now
    source.clickhouse.run(
        "detection/record_activity_scan",
        {
            "source": settings.source,
            "kind": "extension",
            "date_start": every_day[-1],
            "date_end": newest_closed + ONE_DAY,
            "watermark": activity.as_text(now),
            "scanned_at": activity.as_text(now),
            "rows_read": 0,
            "seconds": 0.0,
        },
    )

    def told(page: dict) -> dict[str, list]:
        return {team["team_id"]: team["low_days"] for team in page["teams"]}

    low = [{"date": newest_closed.isoformat(), "pageviews": 0, "usual": 402}]
    page = read(source, view(every_day[:40]))
    assert told(page) == {"1": [], "2": low, "3": []}
    assert page["common_falls"] == []
    [shown] = [team for team in page["teams"] if team["team_id"] == "2"]
    assert shown["states"]["stats"][-1] == "-", "a day without pageviews is idle, and marked all the same"
    assert told(read(source, view(every_day[:3], teams=(2,)))) == {"2": low}
    before = len(asked)
    read(source, view(every_day[:40]))
    assert len(asked) == before > 0, "what cannot have changed is not asked again"
    source.clickhouse.client.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, mute_low_volume) VALUES", [(2, True)]
    )
    assert told(read(source, view(every_day[:40])))["2"] == []
    before = len(asked)
    off = replace(settings, low_volume_percent=0)
    page = content.read_page(source.clickhouse, off, view(every_day[:40]), datetime.now(UTC))
    assert told(page) == {"1": [], "2": [], "3": []}
    assert len(asked) == before
