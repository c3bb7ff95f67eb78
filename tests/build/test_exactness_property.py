"""Whatever the events, and in whatever order and portions their days are built: the tables are exact.

"Exact" is said twice: by the oracle in SQL (validation/oracle_posthog) and by a count in plain Python, which share
no expression with the pipeline or with each other.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import at, differences_from_oracle, examples, found_gaps, leftovers
from web_analytics.build.steps import build_partition
from web_analytics.settings import Settings
from web_analytics.tables import TABLES

DAYS = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]
TEAMS = [1, 2, 3]
IDLE_TEAM = 4
ONE_DAY_US = 24 * 3600 * 10**6
START = at(DAYS[0], 0)
PAGEVIEWS = ("$pageview", "$screen")


def uuid7(milliseconds: int, number: int) -> str:
    return str(uuid.UUID(int=(milliseconds << 80) | (7 << 76) | (0b10 << 62) | number))


def born(day: float, milliseconds: int = 0, number: int = 1) -> str:
    """A session id that starts so many days (and milliseconds) after the first day's midnight."""
    return uuid7(int((START + timedelta(days=day)).timestamp() * 1000) + milliseconds, number)


VALID_SESSIONS = [
    born(0),
    born(0.5),
    born(1, -1),  # the last millisecond of a day
    born(1),
    born(1, -600_000),
    born(1, -600_000, number=2),  # the same instant, another session
    born(1, -600_000).upper(),  # another text is another session
    born(2, -1),
    born(2, -1_800_000),
    born(1.25),
    born(-0.05),  # began before the first day
    born(-3),  # longer than 24 h
    born(2.9),  # born in the future of most events
    born(300),
    uuid7(2**48 - 1, 1),
    uuid7(0, 1),
]
INVALID_SESSIONS = [
    "",
    "session-1",
    str(uuid.UUID(int=(0b10 << 62) | (4 << 76) | 5)),
    born(1).replace("-", ""),
    "{" + born(1) + "}",
    born(1) + "0",
    born(1)[:-1],
    born(1)[:-1] + "g",
    "0" * 36,
]
EDGES = [
    edge
    for day in range(3)
    for edge in (0, 1, ONE_DAY_US - 1, 10**6 - 1)
    for edge in (day * ONE_DAY_US + edge,)
]
MOMENTS = st.one_of(
    st.sampled_from(EDGES),
    # around midnight, where the sessions above begin
    st.builds(
        lambda day, us: day * ONE_DAY_US + us, st.integers(1, 2), st.integers(-900 * 10**6, 900 * 10**6)
    ),
    st.integers(0, 3 * ONE_DAY_US - 1),
)


@dataclass(frozen=True)
class Event:
    team_id: int
    uuid: uuid.UUID
    event: str
    at: int
    session: str
    pathname: str
    ingested: int
    without_inserted_at: bool

    @property
    def ingested_us(self) -> int:
        """Older rows have no inserted_at but only a whole second."""
        return self.ingested // 10**6 * 10**6 if self.without_inserted_at else self.ingested


EVENT = st.builds(
    Event,
    team_id=st.sampled_from(TEAMS),
    uuid=st.integers(1, 25).map(lambda number: uuid.UUID(int=number)),
    event=st.sampled_from(["$pageview", "$pageview", "$pageview", "$screen", "$autocapture", "search"]),
    at=MOMENTS,
    session=st.one_of(st.sampled_from(VALID_SESSIONS), st.sampled_from(VALID_SESSIONS + INVALID_SESSIONS)),
    pathname=st.sampled_from(["/", "/a", "/b?c=d", ""]),
    ingested=st.sampled_from([5 * ONE_DAY_US, 5 * ONE_DAY_US + 1, 6 * ONE_DAY_US]),
    without_inserted_at=st.booleans(),
)


@st.composite
def event_sets(draw) -> list[Event]:
    """Events with repetitions: identical rows, newer versions, and the same uuid in another session or bucket."""
    events = draw(st.lists(EVENT, min_size=25, max_size=60))
    again = draw(st.lists(st.tuples(st.sampled_from(events), EVENT, st.integers(0, 15)), max_size=20))
    for original, other, kept in again:
        events.append(
            Event(
                team_id=original.team_id,
                uuid=original.uuid,
                event=other.event if kept & 1 else original.event,
                at=other.at if kept & 2 else original.at,
                session=other.session if kept & 4 else original.session,
                pathname=other.pathname,
                ingested=other.ingested if kept & 8 else original.ingested,
                without_inserted_at=original.without_inserted_at,
            )
        )
    return events


@st.composite
def build_orders(draw) -> list[tuple[date, list[int]]]:
    """Each day at least once for every team, in any order, in one portion or two, perhaps again."""
    everyone = [*TEAMS, IDLE_TEAM]
    steps: list[tuple[date, list[int]]] = []
    for day in draw(st.permutations(DAYS)):
        first = draw(st.sampled_from([everyone, everyone, [1, 2], [3]]))
        steps.append((day, first))
        if first != everyone:
            steps.append((day, [team for team in everyone if team not in first]))
    again = draw(st.one_of(st.none(), st.sampled_from(steps)))
    return [*steps, again] if again else steps


def insert(clickhouse, events: list[Event]) -> None:
    clickhouse.client.execute(
        "INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, "
        "_timestamp, inserted_at) VALUES",
        [
            (
                event.uuid,
                event.event,
                json.dumps({"$pathname": event.pathname, "$host": "example.com"}),
                START + timedelta(microseconds=event.at),
                event.team_id,
                # one for each row: rows of one sorting key may be merged into one at any time
                f"visitor-{number}",
                uuid.UUID(int=event.team_id),
                event.session,
                (START + timedelta(microseconds=event.ingested)).replace(microsecond=0),
                None if event.without_inserted_at else START + timedelta(microseconds=event.ingested),
            )
            for number, event in enumerate(events)
        ],
    )


def counted_in_python(events: list[Event], bucket_minutes: int) -> tuple[Counter, int]:
    """Pageviews per (team, day) that the tables must hold, and the number of those that have no valid session."""
    newest: dict[tuple, tuple] = {}
    for event in events:
        session_start = start_of(event.session)
        moment = int(START.timestamp()) * 10**6 + event.at
        within = session_start is not None and session_start <= moment < session_start + ONE_DAY_US
        bucket = (session_start if within else moment) // (bucket_minutes * 60 * 10**6)
        key = (event.team_id, event.uuid, bucket)
        session = "" if session_start is None else event.session
        version = (event.ingested_us, moment, event.event, session)
        newest[key] = max(newest.get(key, version), version)
    stored, left_out = Counter(), 0
    for (team_id, _, bucket), (_, _, name, session) in newest.items():
        day = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=bucket * bucket_minutes)).date()
        if name in PAGEVIEWS and day in DAYS:
            if session:
                stored[team_id, day] += 1
            else:
                left_out += 1
    return stored, left_out


def start_of(session: str) -> int | None:
    """The microsecond at which a session began; None if its id is not a UUIDv7 as text."""
    try:
        parsed = uuid.UUID(session)
    except ValueError:
        return None
    return (parsed.int >> 80) * 1000 if str(parsed) == session.lower() and parsed.version == 7 else None


def stored_in(clickhouse, table) -> Counter:
    return Counter(
        {
            (team_id, day): pageviews
            for team_id, day, pageviews in clickhouse.client.execute(
                f"SELECT team_id, toDate(period_bucket), sumMerge(pageviews_count_state) FROM {table.name} "
                "GROUP BY 1, 2"
            )
        }
    )


def empty_all(clickhouse) -> None:
    for (table,) in clickhouse.client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ):
        clickhouse.client.execute(f"TRUNCATE TABLE `{table}` SYNC")


def assert_exact(
    clickhouse, settings: Settings, events: list[Event], order: list[tuple[date, list[int]]]
) -> None:
    empty_all(clickhouse)
    insert(clickhouse, events)
    for day, team_ids in order:
        build_partition(clickhouse, settings, day, team_ids)

    everyone = [*TEAMS, IDLE_TEAM]
    assert differences_from_oracle(clickhouse, DAYS, everyone, settings.bucket_minutes) == []
    stored, left_out = counted_in_python(events, settings.bucket_minutes)
    for table in TABLES:
        assert stored_in(clickhouse, table) == stored
    oracle = clickhouse.query(
        "validation/oracle_posthog",
        {
            "date_start": DAYS[0],
            "date_end": DAYS[-1] + timedelta(days=1),
            "team_ids": everyone,
            "bucket_minutes": settings.bucket_minutes,
        },
    )
    assert sum(row["left_out"] for row in oracle) == left_out
    assert found_gaps(clickhouse, settings, DAYS, everyone) == []
    assert leftovers(clickhouse) == []


def without_shrinking(count: int) -> hypothesis.settings:
    """An example takes seconds; a failure names the first difference, which says more than a smaller example."""
    return hypothesis.settings(
        examples(count), phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], print_blob=True
    )


@given(events=event_sets(), order=build_orders())
@without_shrinking(8)
def test_the_tables_are_exact_whatever_the_events_and_the_order(
    web_analytics_schema, settings, events, order
):
    assert_exact(web_analytics_schema, settings, events, order)


@pytest.mark.parametrize("bucket_minutes", [30, 15])
def test_the_tables_are_exact_with_narrower_buckets(web_analytics_schema, bucket_minutes):
    settings = Settings.load({"WEB_ANALYTICS_BUCKET_MINUTES": str(bucket_minutes)})

    @given(events=event_sets(), order=build_orders())
    @without_shrinking(3)
    def exact(events, order):
        assert_exact(web_analytics_schema, settings, events, order)

    exact()


def test_a_day_built_without_the_bucket_rule_would_not_be_exact(web_analytics_schema, settings):
    """The proof that such events tell right from wrong: counted by their own day, they are not what is stored."""
    events = [
        Event(
            1,
            uuid.UUID(int=number),
            "$pageview",
            ONE_DAY_US + number * 10**6,
            born(1, -600_000),
            "/",
            0,
            False,
        )
        for number in range(1, 4)
    ]
    assert_exact(web_analytics_schema, settings, events, [(DAYS[1], [1]), (DAYS[0], [1])])
    stored, _ = counted_in_python(events, 60)
    assert stored == {(1, DAYS[0]): 3}
    by_own_day = web_analytics_schema.client.execute(
        "SELECT toDate(timestamp), count() FROM events WHERE event = '$pageview' GROUP BY 1"
    )
    assert by_own_day == [(DAYS[1], 3)]


@pytest.mark.parametrize("invalid", ["", "session-1", "0" * 36])
def test_of_two_equally_new_versions_the_one_with_a_valid_session_counts(
    web_analytics_schema, settings, invalid
):
    events = [
        Event(1, uuid.UUID(int=1), "$pageview", 10**6, session, "/", 0, False)
        for session in (born(0), invalid)
    ]
    assert_exact(web_analytics_schema, settings, events, [(DAYS[0], [1])])
    assert counted_in_python(events, 60) == ({(1, DAYS[0]): 1}, 0)


def test_a_session_ends_exactly_24_hours_after_its_start(web_analytics_schema, settings):
    noon, step = ONE_DAY_US // 2, (-1, 0, 1, ONE_DAY_US - 1, ONE_DAY_US, ONE_DAY_US + 1)
    events = [
        Event(1, uuid.UUID(int=number + 1), "$pageview", noon + offset, born(0.5), "/", 0, False)
        for number, offset in enumerate(step)
    ]
    assert_exact(web_analytics_schema, settings, events, [(DAYS[1], [1]), (DAYS[0], [1])])
    assert counted_in_python(events, 60)[0] == {(1, DAYS[0]): 4, (1, DAYS[1]): 2}
