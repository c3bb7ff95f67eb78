"""The small world of one trial: teams, days, events, and what was built before the run."""

from __future__ import annotations

import json
import random
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tests.support import at, set_up
from web_analytics.build import steps
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import ONE_DAY, newest_closed_day
from web_analytics.settings import Settings

TEAMS = 4
OTHER_TEAMS = 2
COLUMNS = "uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, _timestamp, inserted_at"

MISSING, COMPLETE, STALE, IDLE = "missing", "complete", "stale", "idle"


@dataclass(frozen=True)
class Fixture:
    """What a trial starts from.

    :ivar teams: selected for pre-aggregation, thus rebuilt.
    :ivar others: no longer selected; their rows of the same days must be kept.
    """

    days: tuple[date, ...]
    teams: tuple[int, ...]
    others: tuple[int, ...]

    @property
    def conf(self) -> dict:
        return {
            "date_start": min(self.days).isoformat(),
            "date_end": (max(self.days) + ONE_DAY).isoformat(),
            "min_missing_partitions": 1,
        }


def create(
    clickhouse: ClickHouse,
    settings: Settings,
    rng: random.Random,
    states: tuple[str, ...] = (MISSING, MISSING, COMPLETE, STALE, STALE, IDLE),
    login: tuple[str, str] = ("", ""),
) -> Fixture:
    """Fills an empty database.

    :param states: what the days of the selected teams are drawn from.
    :param login: user and password, for the dictionary.
    """
    set_up(clickhouse, settings, *login)
    newest = newest_closed_day(datetime.now(UTC), settings.settling)
    days = tuple(newest - timedelta(days=offset) for offset in range(rng.choice([2, 2, 3])))
    ids = rng.sample(range(1, 1000), TEAMS + OTHER_TEAMS)
    teams, others = tuple(sorted(ids[:TEAMS])), tuple(sorted(ids[TEAMS:]))
    drawn = {(team_id, day): rng.choice(states) for team_id in teams for day in days}
    if all(state in (COMPLETE, IDLE) for state in drawn.values()):
        drawn[teams[0], days[0]] = next(state for state in states if state not in (COMPLETE, IDLE))

    busy = [(team_id, day) for team_id in ids for day in days if drawn.get((team_id, day)) != IDLE]
    _insert(clickhouse, [row for team_id, day in busy for row in _events(rng, team_id, day)])
    _enable(clickhouse, ids, True)
    for day in days:
        built = [team_id for team_id in teams if drawn[team_id, day] in (COMPLETE, STALE)]
        steps.build_partition(clickhouse, settings, day, [*others, *built], run_id="before_chaos")
    late = [key for key, state in drawn.items() if state == STALE]
    arrival = datetime.now(UTC) - timedelta(minutes=1)
    _insert(clickhouse, [row for team_id, day in late for row in _events(rng, team_id, day, arrival)])
    _enable(clickhouse, others, False)
    return Fixture(days, teams, others)


def _enable(clickhouse: ClickHouse, team_ids, enabled: bool) -> None:
    clickhouse.client.execute(
        "INSERT INTO web_pre_aggregated_teams (team_id, enabled) VALUES",
        [(team_id, enabled) for team_id in team_ids],
    )


def _insert(clickhouse: ClickHouse, rows: list[tuple]) -> None:
    if rows:
        clickhouse.client.execute(f"INSERT INTO events ({COLUMNS}) VALUES", rows)


def _uuid(rng: random.Random) -> uuid.UUID:
    return uuid.UUID(int=rng.getrandbits(128))


def _session_id(rng: random.Random, born: datetime) -> str:
    number = (int(born.timestamp() * 1000) << 80) | (7 << 76) | (rng.getrandbits(12) << 64) | (0b10 << 62)
    return str(uuid.UUID(int=number | rng.getrandbits(62)))


def _events(rng: random.Random, team_id: int, day: date, arrival: datetime | None = None) -> list[tuple]:
    """A few sessions that begin on the day: some over midnight, some rows twice, some in two versions."""
    rows = []
    for number in range(rng.randint(2, 5)):
        over_midnight = rng.random() < 0.25
        moment = at(day, 23.9 if over_midnight else rng.uniform(0, 23)).replace(microsecond=0)
        session = _session_id(rng, moment) if rng.random() < 0.95 else ""
        visitor = f"visitor-{number}"
        for _ in range(rng.randint(1, 6)):
            event = rng.choices(["$pageview", "$screen", "$autocapture", "$identify"], [6, 1, 2, 1])[0]
            ingested = arrival or moment
            row = _row(rng, _uuid(rng), event, moment, team_id, visitor, session, ingested)
            rows.append(row)
            if rng.random() < 0.15:
                rows.append(row)
            if rng.random() < 0.15:
                newer = ingested + timedelta(seconds=5)
                rows.append(_row(rng, row[0], "$pageview", moment, team_id, visitor, session, newer))
            moment += timedelta(seconds=rng.randint(1, 400))
    return rows


def _row(rng, identity, event, moment, team_id, visitor, session, ingested) -> tuple:
    properties = {
        "$pathname": f"/{rng.randint(1, 4)}",
        "$host": rng.choice(["example.com", "www.example.com"]),
        "$browser": rng.choice(["Firefox", "Chrome"]),
    }
    return (
        identity,
        event,
        json.dumps(properties),
        moment,
        team_id,
        visitor,
        uuid.uuid5(uuid.NAMESPACE_URL, visitor),
        session,
        ingested.replace(microsecond=0),
        ingested,
    )
