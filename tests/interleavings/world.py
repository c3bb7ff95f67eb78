"""The small world of a case: one day, four teams, and the truth about it, which is counted once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from clickhouse_driver import Client

from tests.support import MEASURES, at, leftovers, set_up
from web_analytics import schema
from web_analytics.build import steps
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.detection import activity
from web_analytics.detection.coverage import coverage_query
from web_analytics.rules.partitions import ONE_DAY, DateRange, newest_closed_day
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tables import TABLES, PreAggregatedTable

NEW_TEAM, APPROVED_TEAM, COMPLETE_TEAM, FORMER_TEAM = 1, 2, 3, 4
TEAMS = (NEW_TEAM, APPROVED_TEAM, COMPLETE_TEAM, FORMER_TEAM)
ENABLED = TEAMS[:3]
COLUMNS = "uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, _timestamp, inserted_at"
ACTIVITY = ("web_analytics_activity", "web_analytics_activity_scans")
RESET = (
    "web_pre_aggregated_stats",
    "web_pre_aggregated_bounces",
    "web_analytics_backfill_ledger",
    "web_pre_aggregated_teams",
    *ACTIVITY,
)
# It outlives a change that was killed, and the next change takes it over.
REGISTRY_LOCK = "web_analytics_lock_teams"

FULL, MOVING, EMPTY = "full", "moving", "empty"
KINDS = (FULL, MOVING, EMPTY)

Truth = dict[tuple[int, date], dict[str, int]]


@dataclass(frozen=True)
class Look:
    """What is found at one moment.

    :ivar differences: (team, day, table, measure, expected, found) of every team that is to be right.
    :ivar gaps: the states in both tables of each (team, day) that a run would build.
    :ivar undeleted: rows of the team that is to have none.
    :ivar leftovers: locks, takeover markers and tables of builds.
    :ivar state: all that a further run of the date finds, apart from names and instants: two looks of one state are
        healed by the same run or by none. None where there are leftovers.
    """

    differences: tuple[tuple, ...]
    gaps: dict[tuple[int, date], tuple[str, str]]
    undeleted: int
    leftovers: tuple[str, ...]
    state: Hashable | None = None

    @property
    def is_quiet(self) -> bool:
        return not (self.differences or self.gaps or self.undeleted or self.leftovers)

    @property
    def may_heal(self) -> bool:
        """What is wrong is said, and nothing is wrong that no run heals."""
        return not (self.undetected or self.undeleted)

    @property
    def undetected(self) -> list[tuple]:
        return [each for each in self.differences if each[:2] not in self.gaps]


class World:
    """One database, brought back to its beginning before each case.

    - ``full``: team 1 is new, team 2 has had an event more since its day was built, team 3 is complete, team 4 is no
      longer enabled and keeps its rows.
    - ``moving``: the same, and when the first actor stops, an event of team 1 and one of team 3 arrive, and the activity
      is refreshed.
    - ``empty``: the day has rows of team 2 alone, whose events are gone; when the first actor stops, events of three
      teams arrive, and the activity is refreshed.

    In each, sessions cross both midnights, and the day before is complete and must stay as it is.

    :param address: host, port, user and password of a ClickHouse.
    :ivar healed: states that one further run has healed, in whatever case.
    """

    def __init__(self, address: dict[str, Any], database: str, kind: str):
        self.kind, self.connection = kind, {**address, "database": database}
        self.healed: set[Hashable] = set()
        self.settings = Settings.load({})
        self.day = newest_closed_day(datetime.now(UTC), self.settings.settling) - timedelta(days=3)
        self.days = DateRange(self.day - ONE_DAY, self.day + ONE_DAY)
        self.planned = (NEW_TEAM, APPROVED_TEAM)
        self.connect()
        self._create()

    def connect(self) -> None:
        """Anew, after the server was started again."""
        self.clickhouse = ClickHouse("", origin=self.connection["database"])
        self.clickhouse._connect = lambda: Client(**self.connection)

    def execute(self, statement: str, *arguments: Any) -> list[tuple]:
        return self.clickhouse.client.execute(statement, *arguments)

    def _create(self) -> None:
        database = self.connection["database"]
        with Client(**{**self.connection, "database": "default"}) as admin:
            admin.execute(f"DROP DATABASE IF EXISTS {database} SYNC")
            admin.execute(f"CREATE DATABASE {database}")
        set_up(self.clickhouse, self.settings, self.connection["user"], self.connection["password"])
        self.execute(
            "INSERT INTO web_pre_aggregated_teams (team_id, enabled) VALUES",
            [(team_id, team_id in ENABLED) for team_id in TEAMS],
        )
        before = self.day - ONE_DAY
        self._insert(_session(1, team, before, number, 3) for team in TEAMS for number in (2, 23.99))
        if self.kind == EMPTY:
            self._insert([_session(2, APPROVED_TEAM, self.day, 5, 2)])
            later = [_session(3, team, self.day, hour, 2) for team in ENABLED for hour in (6, 23.99)]
            built = (APPROVED_TEAM,)
        else:
            self._insert(_session(2, team, self.day, hour, 2) for team in TEAMS for hour in (3, 23.99))
            later = [_session(3, team, self.day, 7, 1) for team in (NEW_TEAM, COMPLETE_TEAM)]
            built = TEAMS[1:]
        for day, teams in ((before, TEAMS), (self.day, built)):
            steps.build_partition(self.clickhouse, self.settings, day, teams, run_id="before")
        if self.kind == EMPTY:
            self.execute(
                "ALTER TABLE events DELETE WHERE toDate(timestamp) = %(day)s AND toHour(timestamp) = 5 "
                "SETTINGS mutations_sync = 2",
                {"day": self.day},
            )
        else:
            self._insert([_session(4, APPROVED_TEAM, self.day, 9, 1, ingested=datetime.now(UTC))])
        activity.refresh(self.clickhouse, self.settings, self.days)
        self._arrivals = [
            row[:-2] + (datetime.now(UTC).replace(microsecond=0), datetime.now(UTC))
            for rows in later
            for row in rows
        ]
        for table in (*RESET, "events"):
            self.execute(f"CREATE TABLE begin_{table} AS {table}")
            columns = COLUMNS if table == "events" else "*"
            into = f" ({COLUMNS})" if table == "events" else ""
            self.execute(f"INSERT INTO begin_{table}{into} SELECT {columns} FROM {table}")
        self.truth = self._count_truth()
        self._has_moved = True
        self._insert([self._arrivals])
        self.later_truth = self._count_truth()
        self._keep_what_a_refresh_writes()
        schema.reload_teams_dictionary(self.clickhouse)

    def reset(self) -> None:
        if left := leftovers(self.clickhouse):
            self.execute(f"DROP TABLE IF EXISTS {', '.join(left)} SYNC")
        for table in RESET:
            self.execute(f"CREATE OR REPLACE TABLE {table} CLONE AS begin_{table}")
        self.execute("TRUNCATE TABLE web_analytics_backfill_log SYNC")
        if self._has_moved:
            self.execute("TRUNCATE TABLE events SYNC")
            self.execute(f"INSERT INTO events ({COLUMNS}) SELECT {COLUMNS} FROM begin_events")
            self._has_moved = False

    def _keep_what_a_refresh_writes(self) -> None:
        """Once, what the refresh after the arrivals writes: a case only copies it, under an instant of its own."""
        activity.refresh(self.clickhouse, self.settings, self.days)
        for table in ACTIVITY:
            self.execute(f"CREATE TABLE later_{table} AS {table}")
            self.execute(
                f"INSERT INTO later_{table} SELECT * FROM {table} "
                f"WHERE scanned_at = (SELECT max(scanned_at) FROM {table})"
            )

    def events_arrive(self) -> None:
        """What the source gets while an actor is stopped, and the refresh of the activity after it."""
        if self.kind == FULL:
            return
        self._insert([self._arrivals])
        [(instant,)] = self.execute("SELECT now64(6, 'UTC')")
        for table in ACTIVITY:
            self.execute(
                f"INSERT INTO {table} SELECT * REPLACE (%(instant)s AS scanned_at) FROM later_{table}",
                {"instant": instant.strftime("%Y-%m-%d %H:%M:%S.%f")},
            )
        self._has_moved = True

    def look(self, deleted: bool) -> Look:
        """
        :param deleted: a cleanup has proved that the approved team has no rows.
        """
        registered = self.execute(
            "SELECT team_id, enabled, timezone FROM web_pre_aggregated_teams FINAL ORDER BY team_id"
        )
        enabled = [team_id for team_id, is_enabled, _ in registered if is_enabled]
        judged = {*enabled, FORMER_TEAM}
        truth = self.later_truth if self._has_moved else self.truth
        stored = self.stored()
        differences, undeleted = [], 0
        for table, found in stored.items():
            undeleted += deleted and (APPROVED_TEAM, self.day) in found
            for key in sorted(truth.keys() | found.keys()):
                if key[0] not in judged or (deleted and key == (APPROVED_TEAM, self.day)):
                    continue
                for measure in MEASURES[table.short_name]:
                    expected = truth.get(key, {}).get(measure, 0)
                    has = found.get(key, {}).get(measure, 0)
                    if expected != has:
                        differences.append((*key, table.short_name, measure, expected, has))
        left = leftovers(self.clickhouse)
        states = self.states(enabled)
        gaps = {key: both for key, both in states.items() if set(both).intersection(GAP_KINDS)}
        found = [[repr(sorted(found.items())) for found in stored.values()], sorted(states.items())]
        state = None if left else repr((deleted, self._has_moved, registered, self._recorded(), found))
        return Look(
            tuple(differences), gaps, undeleted, tuple(name for name in left if name != REGISTRY_LOCK), state
        )

    def _recorded(self) -> list[tuple]:
        """The ledger without names and instants: which entries are of one build, and of which events."""
        rows = self.execute(
            "SELECT partition_date, team_id, table_name, source_events, source_fingerprint, pageviews, sessions, "
            "row_count, toYear(first_built_at) = 1970, build FROM web_analytics_backfill_ledger FINAL ORDER BY ALL"
        )
        builds: dict[str, int] = {}
        return [(*row[:-1], builds.setdefault(row[-1], len(builds))) for row in rows]

    def stored(self) -> dict[PreAggregatedTable, dict[tuple[int, date], dict[str, Any]]]:
        """What readers find in each table, by team and day."""
        parameters = {"date_start": self.days.start, "date_end": self.days.end, "team_ids": []}
        return {
            table: {
                (row["team_id"], row["day"]): row
                for row in self.clickhouse.query(f"validation/oracle_stored_{table.short_name}", parameters)
            }
            for table in TABLES
        }

    def states(self, team_ids: Iterable[int]) -> dict[tuple[int, date], tuple[str, str]]:
        """What the nightly run would find of these teams, in both tables; its refresh would find nothing new."""
        coverage = coverage_query(
            self.clickhouse, self.settings, self.days, kinds=GAP_KINDS, may_be_behind=True
        )
        rows = self.clickhouse.query(
            "detection/coverage",
            coverage.parameters,
            coverage.names,
            external_tables=[teams_table(team_ids)],
        )
        return {
            (row["team_id"], row["partition_date"]): (row["stats_state"], row["bounces_state"])
            for row in rows
        }

    def _count_truth(self) -> Truth:
        rows = self.clickhouse.query(
            "validation/oracle_posthog",
            {
                "date_start": self.days.start,
                "date_end": self.days.end,
                "team_ids": list(TEAMS),
                "bucket_minutes": 60,
            },
        )
        truth = {(row["team_id"], row["day"]): row for row in rows if row["day"] in self.days}
        return {key: row for key, row in truth.items() if row["pageviews"]}

    def _insert(self, sessions: Iterable[list[tuple]]) -> None:
        self.execute(f"INSERT INTO events ({COLUMNS}) VALUES", [row for rows in sessions for row in rows])


def _session(
    seed: int, team_id: int, day: date, hour: float, pageviews: int, ingested: datetime | None = None
) -> list[tuple]:
    """Pageviews of one session, a minute apart; of one that begins at 23.99 only the first is before midnight."""
    born = at(day, hour)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{seed}:{team_id}:{day}:{hour}")
    session = uuid.UUID(
        int=(int(born.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | (identity.int & ((1 << 62) - 1))
    )
    return [
        (
            uuid.uuid5(identity, str(number)),
            "$pageview",
            json.dumps({"$pathname": f"/{number}", "$host": "example.com"}),
            born + timedelta(minutes=number),
            team_id,
            f"visitor-{seed}-{hour}",
            identity,
            str(session),
            (ingested or born + timedelta(minutes=number)).replace(microsecond=0),
            ingested or born + timedelta(minutes=number),
        )
        for number in range(pageviews)
    ]
