"""Every statement that tells states says what the model says, whatever has happened to source and tables."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.detection.model import TABLES, Model, Row
from tests.detection.test_kept_activity import a_week_ago
from tests.support import Source, at, examples, found_gaps, session_id
from web_analytics import schema
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse.connection import teams_table
from web_analytics.detection import activity, kept_states
from web_analytics.detection.coverage import CoverageQuery, coverage_query
from web_analytics.detection.detector import DetectionScope, store_plan
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import GAP_KINDS, MISSING
from web_analytics.settings import Settings

TEAMS = [1, 2]
EVENTS = ("$pageview", "$autocapture")


@dataclass
class World:
    """Does everything to the real source and tables and to the model."""

    source: Source
    settings: Settings
    model: Model
    days: list[date]
    sessions: dict[uuid.UUID, str] = field(default_factory=dict)

    def execute(self, statement: str, **parameters) -> None:
        self.source.clickhouse.client.execute(
            f"{statement} SETTINGS mutations_sync = 2, lightweight_deletes_sync = 2", parameters
        )

    def add(self, row: Row) -> None:
        self.model.rows.append(row)
        # All rows of an event are of one session.
        session = self.sessions.setdefault(row.uuid, session_id(row.timestamp))
        self.source.event(
            row.team_id, row.timestamp, session, event=row.event, event_uuid=row.uuid, ingested=row.ingested
        )

    def event(self, team: int, day: int, hour: float, event: str, late_hours: int) -> None:
        moment = at(self.days[day], hour)
        self.add(Row(team, uuid.uuid4(), event, moment, moment + timedelta(hours=late_hours)))

    def of(self, which: int) -> Row | None:
        return self.model.rows[which % len(self.model.rows)] if self.model.rows else None

    def repeat(self, which: int) -> None:
        if row := self.of(which):
            self.add(row)

    def correct(self, which: int, event: str, later_hours: int) -> None:
        if row := self.of(which):
            newest = max(each.ingested for each in self.model.rows if each.identity == row.identity)
            self.add(replace(row, event=event, ingested=newest + timedelta(hours=later_hours)))

    def delete(self, which: int) -> None:
        if row := self.of(which):
            self.model.rows = [each for each in self.model.rows if each.uuid != row.uuid]
            self.execute("ALTER TABLE events DELETE WHERE uuid = %(uuid)s", uuid=row.uuid)

    def merge(self) -> None:
        self.source.clickhouse.client.execute("OPTIMIZE TABLE events FINAL")
        for table in TABLES:
            self.source.clickhouse.client.execute(f"OPTIMIZE TABLE web_pre_aggregated_{table} FINAL")

    def build(self, team: int, day: int) -> None:
        self.model.build(team, self.days[day])
        build_partition(self.source.clickhouse, self.settings, self.days[day], [team])

    def lose(self, team: int, day: int, table: int) -> None:
        self.model.stored[team, self.days[day], TABLES[table]] = 0
        self.execute(
            f"DELETE FROM web_pre_aggregated_{TABLES[table]} WHERE team_id = %(team)s AND toDate(period_bucket) = %(day)s",
            team=team,
            day=self.days[day],
        )

    def double(self, team: int, day: int, table: int) -> None:
        key = team, self.days[day], TABLES[table]
        self.model.stored[key] = 2 * self.model.stored.get(key, 0)
        name = f"web_pre_aggregated_{TABLES[table]}"
        self.source.clickhouse.client.execute(
            f"INSERT INTO {name} SELECT * FROM {name} WHERE team_id = %(team)s AND toDate(period_bucket) = %(day)s",
            {"team": team, "day": self.days[day]},
        )

    def refresh(self) -> None:
        activity.refresh(self.source.clickhouse, self.settings, self.range)

    @property
    def range(self) -> DateRange:
        return DateRange(min(self.days), max(self.days) + ONE_DAY)

    def wanted(self) -> dict[tuple[int, date], tuple[str, ...]]:
        states = {
            (team, day): tuple(self.model.state(team, day, table) for table in TABLES)
            for team in TEAMS
            for day in self.days
        }
        return {key: pair for key, pair in states.items() if set(pair) != {"idle"}}

    def ask(self, statement: str, settings: Settings, parameters: dict | None = None, **how) -> list[dict]:
        query = coverage_query(self.source.clickhouse, settings, self.range, **how)
        return self.answer(statement, query, parameters)

    def answer(self, statement: str, query: CoverageQuery, parameters: dict | None = None) -> list[dict]:
        return self.source.clickhouse.query(
            statement,
            {**query.parameters, **(parameters or {})},
            query.names,
            external_tables=[teams_table(TEAMS)],
        )

    def keep(self) -> CoverageQuery:
        """Keeps the states of the months of these days, as if they were over.

        :returns: how they are asked for.
        """
        first, last = min(self.days).replace(day=1), max(self.days)
        end = date(last.year + last.month // 12, last.month % 12 + 1, 1)
        clickhouse, known = (
            self.source.clickhouse,
            activity.known_range(self.source.clickhouse, self.settings),
        )
        kept_states.keep(clickhouse, self.settings, DateRange(first, end), TEAMS, known)
        versions = kept_states.read_versions(clickhouse)
        kept = kept_states.find(clickhouse, self.settings, self.range, TEAMS, known, versions)
        assert [day for month in kept for day in month.days] == list(self.range) or not versions
        return kept_states.ask_for(kept, self.range, only_gaps=False)

    def states(self, settings: Settings, **how) -> dict[tuple[int, date], tuple[str, ...]]:
        found = {
            (row["team_id"], row["partition_date"]): (row["stats_state"], row["bounces_state"])
            for row in self.ask("detection/coverage", settings, **how)
        }
        return {key: pair for key, pair in found.items() if set(pair) != {"idle"}}

    def told_to_readers(self) -> dict[tuple[int, date], tuple[str, ...]]:
        found = self.source.clickhouse.client.execute(
            "SELECT team_id, date, groupArray((table, state)) FROM web_pre_aggregated_freshness "
            "WHERE team_id IN %(teams)s AND date >= %(start)s AND date < %(end)s GROUP BY team_id, date",
            {"teams": TEAMS, "start": self.range.start, "end": self.range.end},
        )
        told = {(team, day): dict(states) for team, day, states in found}
        pairs = {
            key: tuple(states[f"web_pre_aggregated_{table}"] for table in TABLES)
            for key, states in told.items()
        }
        return {key: pair for key, pair in pairs.items() if set(pair) != {"idle"}}

    def agree(self) -> None:
        """At once where the source is scanned; where it is kept, with the weekly scan at the latest."""
        wanted = self.wanted()
        scanned = replace(self.settings, activity="scanned")
        assert self.states(scanned) == wanted
        gaps = {
            (team, day, table): state
            for (team, day), pair in wanted.items()
            for table, state in zip(TABLES, pair, strict=True)
            if state in GAP_KINDS
        }
        a_week_ago(self.source)
        self.refresh()
        assert self.states(self.settings) == wanted, "kept, and what came since"
        assert self.states(self.settings, may_be_behind=True) == wanted, "kept"
        assert self.told_to_readers() == wanted, "what dashboards are told"
        of_missing = self.ask("detection/missing", self.settings, kinds=(MISSING,), may_be_behind=True)
        assert {
            (row["team_id"], row["partition_date"], table)
            for row in of_missing
            for table in TABLES
            if row[f"{table}_state"] == MISSING
        } == {key for key, state in gaps.items() if state == MISSING}
        counted: dict[tuple, int] = {}
        for (_, day, table), state in gaps.items():
            counted[day, f"web_pre_aggregated_{table}", state] = (
                counted.get((day, f"web_pre_aggregated_{table}", state), 0) + 1
            )
        scope = DetectionScope(self.range, GAP_KINDS, nightly=True)
        found = found_gaps(self.source.clickhouse, self.settings, self.days, TEAMS)
        planned = store_plan(self.source.clickhouse, self.settings, scope, TEAMS, uuid.uuid4().hex)
        looked_at = coverage_query(self.source.clickhouse, self.settings, self.range)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kept_states, "LOOKED_AT_ANYWAY_DAYS", 0)
            kept = self.keep()
            planned_of_kept = store_plan(
                self.source.clickhouse, self.settings, scope, TEAMS, uuid.uuid4().hex
            )
        for each in (found, planned, planned_of_kept):
            assert {(gap.partition_date, gap.table_name, gap.state): gap.teams for gap in each} == counted
        wanted_of_teams = {team: sum(key[0] == team for key in gaps) for team in {key[0] for key in gaps}}
        for query in (looked_at, kept):
            per_team = {
                row["team_id"]: sum(row[kind] for kind in GAP_KINDS)
                for row in self.answer("api/count_gaps_of_teams", query)
            }
            assert per_team == wanted_of_teams
            listed = {
                (row["team_id"], day): states
                for row in self.answer("api/list_states", query)
                for day, *states in zip(row["days"], row["stats_states"], row["bounces_states"], strict=True)
                if set(states) != {"idle"}
            }
            assert listed == {key: list(pair) for key, pair in wanted.items()}
        of_teams = self.ask("tasks/team_gaps", self.settings, {"open_from": self.range.end, "team_limit": 10})
        assert {row["team_id"]: row["gap_days"] for row in of_teams if row["gap_days"]} == per_team


@pytest.fixture
def world(source, days):
    def begin(**values: int) -> World:
        for table in (
            "events",
            "web_analytics_activity",
            "web_analytics_activity_scans",
            "web_analytics_backfill_ledger",
            *(f"web_pre_aggregated_{table}" for table in TABLES),
        ):
            source.clickhouse.client.execute(f"TRUNCATE TABLE {table}")
        environment = {f"WEB_ANALYTICS_{name.upper()}": str(value) for name, value in values.items()}
        values.pop("bucket_minutes", None)
        schema.create_freshness_view(source.clickhouse, Settings.load(environment))
        return World(source, Settings.load(environment), Model(**values), days(5)[3:])

    return begin


def test_merging_changes_nothing_and_hides_nothing(world):
    it = world()
    it.event(1, 0, 9, "$pageview", 1)
    for _ in range(3):
        it.repeat(0)
    it.build(1, 0)
    it.merge()
    assert it.states(it.settings) == it.wanted() == {(1, it.days[0]): ("complete", "complete")}
    it.event(1, 0, 10, "$pageview", 0)
    it.agree()
    assert it.wanted() == {(1, it.days[0]): ("stale", "stale")}


@pytest.mark.slow
def test_events_that_came_or_went_with_any_clock_are_noticed(world):
    it = world()
    for hour in (9, 10, 11):
        it.event(1, 0, hour, "$pageview", 30)
    it.build(1, 0)
    it.event(1, 0, 8, "$pageview", 0)  # ingested before all others, by its clock
    it.delete(0)  # as many as before
    it.agree()
    assert it.wanted() == {(1, it.days[0]): ("stale", "stale")}
    it.build(1, 0)
    it.double(1, 0, 1)
    it.agree()
    assert it.wanted() == {(1, it.days[0]): ("complete", "inconsistent")}


def test_a_correction_ingested_on_another_day_rebuilds_once(world):
    it = world()
    it.event(1, 0, 9, "$pageview", 1)
    it.event(1, 0, 10, "$pageview", 1)
    it.refresh()
    it.correct(0, "$pageview", 24)
    it.merge()
    it.refresh()
    it.build(1, 0)
    it.refresh()
    assert it.states(it.settings, may_be_behind=True) == {(1, it.days[0]): ("complete", "complete")}


def test_small_counts_pageviews(world):
    it = world(min_daily_pageviews=3)
    it.event(1, 0, 9, "$pageview", 1)
    for _ in range(3):
        it.repeat(0)
    assert it.states(replace(it.settings, activity="scanned")) == {(1, it.days[0]): ("small", "small")}


def test_another_width_of_a_bucket_is_no_other_event(world):
    """Days of another width are built again by whoever sets it; the source is the same."""
    it = world()
    for hour in (9.2, 9.4, 9.8, 23.9):
        it.event(1, 0, hour, "$pageview", 1)
    it.build(1, 0)
    for bucket_minutes in (30, 15):
        it.settings = replace(it.settings, bucket_minutes=bucket_minutes)
        it.agree()
        assert it.wanted() == {(1, it.days[0]): ("complete", "complete")}


@pytest.mark.parametrize("bucket_minutes", [60, 30, 15])
def test_an_event_that_moves_is_noticed_within_a_bucket_and_between_two(source, days, bucket_minutes):
    day = days(1)[0]
    settings = Settings.load(
        {"WEB_ANALYTICS_ACTIVITY": "scanned", "WEB_ANALYTICS_BUCKET_MINUTES": str(bucket_minutes)}
    )
    source.enable(1)
    source.event(1, at(day, 8))
    moving = source.event(1, at(day, 9), session_id(at(day, 9)), ingested=at(day, 12))
    for later, minute in enumerate((5, 40), 1):
        build_partition(source.clickhouse, settings, day, [1])
        assert found_gaps(source.clickhouse, settings, [day], [1]) == []
        moment = at(day, 9) + timedelta(minutes=minute)
        # Under another name, so that the engine does not merge it with the row before.
        source.event(
            1,
            moment,
            session_id(moment),
            event=f"moved {later} times",
            event_uuid=moving,
            ingested=at(day, 12 + later),
        )
        assert {gap.state for gap in found_gaps(source.clickhouse, settings, [day], [1])} == {"stale"}


TEAM, DAY, WHICH, EVENT = (
    st.sampled_from(TEAMS),
    st.integers(0, 1),
    st.integers(0, 50),
    st.sampled_from(EVENTS),
)
HOURS, TABLE = st.sampled_from([0, 1, 30]), st.integers(0, 1)
HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(
            st.just("event"), TEAM, DAY, st.integers(0, 95).map(lambda quarter: quarter / 4), EVENT, HOURS
        ),
        st.tuples(st.just("build"), TEAM, DAY),
        st.tuples(st.just("repeat"), WHICH),
        st.tuples(st.just("correct"), WHICH, EVENT, st.sampled_from([1, 25])),
        st.tuples(st.just("delete"), WHICH),
        st.tuples(st.just("merge")),
        st.tuples(st.just("lose"), TEAM, DAY, TABLE),
        st.tuples(st.just("double"), TEAM, DAY, TABLE),
        st.tuples(st.just("refresh")),
    ),
    min_size=4,
    max_size=14,
)


@pytest.mark.slow
@examples(12)
@given(HAPPENINGS, st.sampled_from([0, 2]), st.sampled_from([1, 2]), st.sampled_from([60, 30, 15]))
def test_all_statements_agree_with_the_model(
    world, happenings, min_daily_pageviews, stale_min_events, bucket_minutes
):
    it = world(
        min_daily_pageviews=min_daily_pageviews,
        stale_min_events=stale_min_events,
        bucket_minutes=bucket_minutes,
    )
    for name, *arguments in happenings:
        getattr(it, name)(*arguments)
    it.agree()
