"""The states of months are looked at once, and again when something is written to them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import at
from web_analytics.api.coverage import content
from web_analytics.api.coverage.ranking import GapCounts
from web_analytics.build.steps import build_partition
from web_analytics.detection import activity, kept_states
from web_analytics.detection.detector import DetectionScope, store_plan
from web_analytics.detection.kept_states import KeptMonth
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings

SETTINGS = Settings.load({})
TEAMS = [1, 2, *range(10, 30)]


class Year:
    """Three months that are over. In the last two are two days of two teams, of which one day is built."""

    def __init__(self, source):
        self.source, self.clickhouse = source, source.clickhouse
        end = datetime.now(UTC).date().replace(day=1)
        second = (end - ONE_DAY).replace(day=1)
        first = (second - ONE_DAY).replace(day=1)
        self.first, self.second = DateRange(first, second), DateRange(second, end)
        self.days = DateRange((first - ONE_DAY).replace(day=1), end)
        self.of_first, self.of_second = (
            [month.start + timedelta(days=offset) for offset in (4, 9)] for month in (self.first, self.second)
        )
        source.enable(*TEAMS)
        source.visits([1, 2], [*self.of_first, *self.of_second], per_day=1)
        for day in (self.of_first[0], self.of_second[0]):
            build_partition(source.clickhouse, SETTINGS, day, TEAMS)
        # What came last came today: a refresh reads again what was ingested since that day.
        source.event(1, datetime.now(UTC), ingested=datetime.now(UTC))
        activity.refresh(source.clickhouse, SETTINGS, self.days)

    def keep(self, settings=SETTINGS, teams=TEAMS, days: DateRange | None = None) -> list[DateRange]:
        known = activity.known_range(self.clickhouse, settings)
        return kept_states.keep(self.clickhouse, settings, days or self.days, teams, known)

    def find(self, settings=SETTINGS, teams=TEAMS, days: DateRange | None = None) -> list[KeptMonth]:
        known = activity.known_range(self.clickhouse, settings)
        versions = kept_states.read_versions(self.clickhouse)
        return kept_states.find(self.clickhouse, settings, days or self.days, teams, known, versions)

    @property
    def kept(self) -> list[DateRange]:
        return [month.days for month in self.find()]

    def change_what_is_kept(self) -> None:
        """Team 1 is said to lack nothing, and team 2 to be stale in one table."""
        self.clickhouse.client.execute(
            "ALTER TABLE web_analytics_kept_states UPDATE "
            "stats_states = arrayMap(each -> toLowCardinality(if(team_id = 1, 'complete', 'stale')), days), "
            "bounces_states = arrayMap(each -> toLowCardinality(if(team_id = 1, 'complete', each)), bounces_states), "
            "gaps = if(team_id = 1, 0, length(days)) WHERE team_id IN (1, 2) SETTINGS mutations_sync = 2"
        )


@pytest.fixture
def year(source):
    return Year(source)


def test_a_month_is_looked_at_once(year):
    assert year.kept == []
    assert year.keep() == [year.first, year.second] == year.kept
    assert year.keep() == []
    # who asks for a part of a month finds it there
    part = DateRange(year.first.start + 9 * ONE_DAY, year.second.end + 30 * ONE_DAY)
    assert [month.days for month in year.find(days=part)] == [
        DateRange(part.start, year.first.end),
        year.second,
    ]


def test_few_team_days_are_always_looked_at(year, monkeypatch):
    year.keep()
    year.change_what_is_kept()
    two_months = DateRange(year.first.start, year.second.end)
    assert len(two_months) <= kept_states.LOOKED_AT_ANYWAY_DAYS
    as_looked_at, as_kept = {1: 4, 2: 4}, {2: 6}
    assert (gaps_of(year, two_months), planned(year, two_months)) == (as_looked_at, as_looked_at)
    # Of many teams a page takes also a short range from there; a run, like each scheduled one, looks for itself.
    monkeypatch.setattr(kept_states, "LOOKED_AT_ANYWAY_TEAM_DAYS", len(two_months) * len(TEAMS) - 1)
    assert (gaps_of(year, two_months), planned(year, two_months)) == (as_kept, as_looked_at)


def test_of_the_newest_month_the_closed_days_are_kept_for_a_day(year):
    some_days = DateRange(year.days.start, year.days.end - 9 * ONE_DAY)
    newest = DateRange(year.second.start, some_days.end)
    assert year.keep(days=some_days) == [year.first, newest]
    # What was found of these days holds, and the days that have been closed since are looked at beside them.
    assert year.kept == [year.first, newest]
    assert gaps_of(year) == {1: 4, 2: 4}
    year.change_what_is_kept()
    assert gaps_of(year) == {2: 6}
    # It is kept anew as soon as there is more of it.
    assert year.keep(days=some_days) == []
    longer = DateRange(year.days.start, year.days.end - 8 * ONE_DAY)
    assert year.keep(days=longer) == [DateRange(year.second.start, longer.end)]
    assert year.keep() == [year.second]
    assert year.kept == [year.first, year.second]
    kept_for = year.clickhouse.client.execute(
        "SELECT date_end, dateDiff('day', now(), kept_until + INTERVAL 1 HOUR) FROM web_analytics_kept_months "
        "ORDER BY kept_until, date_end"
    )
    assert kept_for == [(newest.end, 1), (longer.end, 1), (year.first.end, 30), (year.second.end, 30)]


def test_days_that_were_not_known_yet_are_looked_at_beside_what_is_kept(year):
    known = DateRange(year.second.start + 5 * ONE_DAY, year.second.end)
    assert year.keep(days=known) == [known] == year.kept
    assert gaps_of(year) == {1: 4, 2: 4}


def late_event(year):
    year.source.event(1, at(year.of_second[0], 22), ingested=datetime.now(UTC))
    activity.refresh(year.clickhouse, SETTINGS, year.days)


def build(year):
    build_partition(year.clickhouse, SETTINGS, year.of_second[1], [1])


def execute(statement):
    return lambda year: year.clickhouse.client.execute(
        statement, {"day": year.of_second[0], "partition": year.of_second[0].strftime("%Y%m%d")}
    )


@pytest.mark.parametrize(
    "write",
    [
        late_event,
        build,
        execute("ALTER TABLE web_pre_aggregated_stats DROP PARTITION ID %(partition)s"),
        execute(
            "INSERT INTO web_pre_aggregated_bounces SELECT * FROM web_pre_aggregated_bounces "
            "WHERE toDate(period_bucket) = %(day)s"
        ),
        execute("DELETE FROM web_pre_aggregated_stats WHERE team_id = 1 AND toDate(period_bucket) = %(day)s"),
        execute(
            "ALTER TABLE web_analytics_backfill_ledger UPDATE pageviews = 0 WHERE partition_date = %(day)s "
            "SETTINGS mutations_sync = 2"
        ),
        execute(
            "ALTER TABLE web_analytics_activity DELETE WHERE partition_date = %(day)s SETTINGS mutations_sync = 2"
        ),
    ],
)
def test_whatever_is_written_to_a_month_makes_it_be_looked_at_again(year, write):
    year.keep()
    write(year)
    # A mutation gives all parts of a table another version, whether or not it finds anything in them.
    assert year.second not in year.kept
    assert year.second in year.keep()
    assert year.kept == [year.first, year.second]


def test_what_is_written_while_a_month_is_looked_at_counts(year, monkeypatch):
    look = kept_states.coverage_query

    def looks_and_somebody_writes(*asked, **how):
        build(year)
        return look(*asked, **how)

    monkeypatch.setattr(kept_states, "coverage_query", looks_and_somebody_writes)
    year.keep()
    monkeypatch.undo()
    assert year.second not in year.kept


def test_other_settings_look_for_themselves(year):
    year.keep()
    for other in (
        replace(SETTINGS, min_daily_pageviews=3),
        replace(SETTINGS, stale_min_events=7),
        replace(SETTINGS, activity="scanned"),
    ):
        assert year.find(other) == []
    assert year.keep(replace(SETTINGS, activity="scanned")) == []


def test_another_version_of_the_package_looks_for_itself(year, monkeypatch):
    year.keep()
    monkeypatch.setattr(kept_states, "__version__", "0.0.1")
    assert year.kept == []


def test_a_team_that_was_enabled_since_is_looked_at_by_itself(year):
    year.keep(teams=TEAMS[1:])
    assert [month.new_teams for month in year.find()] == [frozenset({1})] * 2
    assert year.keep() == [year.first, year.second]
    assert [month.new_teams for month in year.find(teams=TEAMS[2:])] == [frozenset()] * 2
    # of many all are
    assert year.find(teams=range(100)) == []


def test_a_month_of_which_rows_are_gone_is_looked_at_again(year):
    year.keep()
    year.clickhouse.client.execute(
        "ALTER TABLE web_analytics_kept_states DELETE WHERE team_id = 1 AND startsWith(keep_id, %(month)s) "
        "SETTINGS mutations_sync = 2",
        {"month": f"{year.first.start:%Y%m}:"},
    )
    assert year.kept == [year.second]


def test_what_is_about_to_be_deleted_does_not_count(year):
    year.keep()
    year.clickhouse.client.execute(
        "ALTER TABLE web_analytics_kept_months UPDATE kept_until = now() + INTERVAL 5 MINUTE "
        "WHERE date_start = %(month)s SETTINGS mutations_sync = 2",
        {"month": year.first.start},
    )
    assert year.kept == [year.second]
    assert year.keep() == [year.first]
    assert year.kept == [year.first, year.second]


def gaps_of(year, days: DateRange | None = None) -> dict[int, int]:
    """As a page tells them that an API server shows which has just started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(content, "GAP_COUNTS", GapCounts())
        page = content.read_page(
            year.clickhouse,
            SETTINGS,
            content.View(days or year.days, None, False, 1, 25),
            datetime.now(UTC),
        )
    of_states = {
        int(team["team_id"]): sum(line.count(code) for line in team["states"].values() for code in "misr")
        for team in page["teams"]
    }
    of_counts = {int(team["team_id"]): team["gaps"] for team in page["teams"]}
    assert of_states == of_counts
    assert page["totals"]["teams_with_gaps"] == sum(gaps > 0 for gaps in of_counts.values())
    return {team: gaps for team, gaps in of_counts.items() if gaps}


def planned(year, days: DateRange | None = None) -> dict[int, int]:
    plan = uuid.uuid4().hex
    scope = DetectionScope(days or year.days, GAP_KINDS, nightly=True)
    store_plan(year.clickhouse, SETTINGS, scope, TEAMS, plan)
    return dict(
        year.clickhouse.client.execute(
            "SELECT team_id, toInt64(countIf(stats_state IN %(kinds)s) + countIf(bounces_state IN %(kinds)s)) "
            "FROM web_analytics_backfill_plan WHERE plan_id = %(plan)s GROUP BY team_id",
            {"plan": plan, "kinds": GAP_KINDS},
        )
    )


def test_the_page_and_a_run_find_what_is_kept(year):
    looked_at = gaps_of(year), planned(year)
    assert looked_at == ({1: 4, 2: 4}, {1: 4, 2: 4})
    year.keep()
    assert (gaps_of(year), planned(year)) == looked_at
    # They take it from there: what is made up is told.
    year.change_what_is_kept()
    assert (gaps_of(year), planned(year)) == ({2: 6}, {2: 6})


def test_new_teams_and_changed_months_are_looked_at_beside_what_is_kept(year):
    year.keep(teams=TEAMS[1:])
    year.change_what_is_kept()
    assert (gaps_of(year), planned(year)) == ({1: 4, 2: 6}, {1: 4, 2: 6})
    # Only of the first month what is made up is still told.
    build_partition(year.clickhouse, SETTINGS, year.of_second[1], [2])
    assert (gaps_of(year), planned(year)) == ({1: 4, 2: 3}, {1: 4, 2: 3})
