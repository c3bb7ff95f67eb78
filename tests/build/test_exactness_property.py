"""Whatever the events, and in whatever order and portions their days are built: the tables are exact.

"Exact" is said twice: by the oracle in SQL (validation/oracle_posthog) and by a model in plain Python (demo/model.py),
which share no expression with the pipeline or with each other.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo import model, verification
from tests.support import at, differences_from_oracle, examples, found_gaps, leftovers
from tests.truth import differences_from_model, stored_tables
from web_analytics.build.steps import build_partition
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import cost
from web_analytics.rules.partitions import DateRange
from web_analytics.settings import Settings

DAYS = [date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 3)]
TEAMS = [1, 2, 3]
IDLE_TEAM = 4
ONE_DAY_US = 24 * 3600 * 10**6
START = at(DAYS[0], 0)


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
    born(1, -600_000).upper(),  # the same session
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
    """A row of events; its id, name and visitor decide with which others the engine merges it."""

    team_id: int
    uuid: uuid.UUID
    event: str
    at: int
    session: str
    properties: tuple[tuple[str, Any], ...]
    visitor: int
    written: int
    inserted: int | None


PROPERTIES = st.fixed_dictionaries(
    {
        "$pathname": st.sampled_from(["/", "/a", "/b?c=d", "", "null"]),
        "$host": st.sampled_from(["one.example", "two.example"]),
    },
    optional={
        "$current_url": st.sampled_from(["https://example.com/c?d=/e#f", "https://example.com", "no url"]),
        "$viewport_width": st.sampled_from([1536, 1536.8, "1e3", "", None, True, [], -1]),
        "utm_source": st.sampled_from(["google", "", None, 7, "null", ["a"]]),
        "gclid": st.sampled_from(["Cj0", "", None, False, True, {}, 5]),
        "gad_source": st.sampled_from(["1", 1, "2", None]),
        "$geoip_country_code": st.sampled_from(["DE", "US"]),
    },
).map(lambda properties: tuple(properties.items()))
EVENT = st.builds(
    Event,
    team_id=st.sampled_from(TEAMS),
    uuid=st.integers(1, 25).map(lambda number: uuid.UUID(int=number * 2**64 - number)),
    event=st.sampled_from(["$pageview", "$pageview", "$pageview", "$screen", "$autocapture", "search"]),
    at=MOMENTS,
    session=st.one_of(st.sampled_from(VALID_SESSIONS), st.sampled_from(VALID_SESSIONS + INVALID_SESSIONS)),
    properties=PROPERTIES,
    visitor=st.integers(1, 6),
    written=st.sampled_from([5 * ONE_DAY_US, 5 * ONE_DAY_US + 10**6, 6 * ONE_DAY_US]),
    # Not always in the order in which the rows were written.
    inserted=st.sampled_from([None, 5 * ONE_DAY_US, 5 * ONE_DAY_US + 1, 6 * ONE_DAY_US]),
)
PARTS_OF_AN_EVENT = ("event", "at", "session", "properties", "visitor", "written", "inserted")


@st.composite
def event_sets(draw) -> list[list[Event]]:
    """Events in a few inserts, with repetitions: identical rows, corrections, ties, and one uuid in two buckets."""
    events = draw(st.lists(EVENT, min_size=25, max_size=60))
    again = draw(
        st.lists(
            st.tuples(
                st.sampled_from(events), EVENT, st.sets(st.sampled_from(PARTS_OF_AN_EVENT), max_size=4)
            ),
            min_size=5,
            max_size=25,
        )
    )
    for original, other, changed in again:
        events.append(replace(original, **{name: getattr(other, name) for name in changed}))
    cuts = sorted(draw(st.sets(st.integers(1, len(events) - 1), max_size=4)))
    return [events[start:end] for start, end in zip([0, *cuts], [*cuts, len(events)], strict=True)]


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


def insert(clickhouse, events: Iterable[Event], **settings: Any) -> None:
    clickhouse.client.execute(
        "INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, `$session_id`, "
        "_timestamp, inserted_at) VALUES",
        [
            (
                event.uuid,
                event.event,
                json.dumps(dict(event.properties)),
                START + timedelta(microseconds=event.at),
                event.team_id,
                f"visitor-{event.visitor}",
                uuid.UUID(int=event.visitor),
                event.session,
                START + timedelta(microseconds=event.written),
                None if event.inserted is None else START + timedelta(microseconds=event.inserted),
            )
            for event in events
        ],
        settings=settings,
    )


def empty_all(clickhouse) -> None:
    for (table,) in clickhouse.client.execute(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    ):
        clickhouse.client.execute(f"TRUNCATE TABLE `{table}` SYNC")


def merge(clickhouse) -> None:
    clickhouse.client.execute("SYSTEM START MERGES events")
    clickhouse.client.execute("OPTIMIZE TABLE events FINAL")


def fill(clickhouse, inserts: list[list[Event]]) -> None:
    """The rows as they were inserted, not merged."""
    empty_all(clickhouse)
    clickhouse.client.execute("SYSTEM STOP MERGES events")
    for events in inserts:
        insert(clickhouse, events)
    clickhouse.client.execute(
        "INSERT INTO person_distinct_id_overrides (team_id, distinct_id, person_id, is_deleted, version) VALUES",
        [(1, "visitor-1", uuid.UUID(int=2), 0, 1), (2, "visitor-2", uuid.UUID(int=3), 1, 2)],
    )


def assert_exact(clickhouse, settings: Settings, order: list[tuple[date, list[int]]]) -> None:
    """Builds what is in the source, and asks model, oracle and detection."""
    for day, team_ids in order:
        build_partition(clickhouse, settings, day, team_ids)
    everyone = [*TEAMS, IDLE_TEAM]
    assert differences_from_model(clickhouse, DAYS, everyone, settings.bucket_minutes) == []
    assert differences_from_oracle(clickhouse, DAYS, everyone, settings.bucket_minutes) == []
    assert left_out_by_oracle(clickhouse, settings) == left_out_by_model(clickhouse, settings)
    assert found_gaps(clickhouse, settings, DAYS, everyone) == []
    assert leftovers(clickhouse) == []


def left_out_by_oracle(clickhouse, settings: Settings) -> int:
    parameters = {
        "date_start": DAYS[0],
        "date_end": DAYS[-1] + timedelta(days=1),
        "team_ids": [*TEAMS, IDLE_TEAM],
        "bucket_minutes": settings.bucket_minutes,
    }
    return sum(row["left_out"] for row in clickhouse.query("validation/oracle_posthog", parameters))


def left_out_by_model(clickhouse, settings: Settings) -> int:
    rows = verification.read_rows(clickhouse, DateRange(DAYS[0], DAYS[-1] + timedelta(days=1)), ())
    _, left_out = model.visits(rows, settings.bucket_minutes)
    return sum(model.day_of(bucket) in DAYS for _, bucket in left_out)


def without_shrinking(count: int) -> hypothesis.settings:
    """An example takes seconds; a failure names the first difference, which says more than a smaller example."""
    return hypothesis.settings(
        examples(count), phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate], print_blob=True
    )


@given(inserts=event_sets(), order=build_orders())
@without_shrinking(4)
def test_the_tables_are_exact_whatever_the_events_and_the_order(
    web_analytics_schema, settings, inserts, order
):
    fill(web_analytics_schema, inserts)
    assert_exact(web_analytics_schema, settings, order)
    merge(web_analytics_schema)
    assert_exact(web_analytics_schema, settings, order)


@pytest.mark.parametrize("bucket_minutes", [30, 15])
def test_the_tables_are_exact_with_narrower_buckets(web_analytics_schema, bucket_minutes):
    settings = Settings.load({"WEB_ANALYTICS_BUCKET_MINUTES": str(bucket_minutes)})

    @given(inserts=event_sets(), order=build_orders())
    @without_shrinking(2)
    def exact(inserts, order):
        fill(web_analytics_schema, inserts)
        assert_exact(web_analytics_schema, settings, order)

    exact()


@given(inserts=event_sets())
@without_shrinking(4)
def test_a_merge_of_rows_that_lie_in_one_bucket_changes_nothing(web_analytics_schema, settings, inserts):
    """Rows that the engine merges are of one day, name, visitor and id; here they are of one session too."""
    sessions: dict[tuple, Event] = {}
    inserts = [
        [
            replace(event, session=first.session, at=first.at + event.at % 5)
            for event in events
            for first in [
                sessions.setdefault(
                    (event.team_id, event.at // ONE_DAY_US, event.event, event.visitor, event.uuid), event
                )
            ]
        ]
        for events in inserts
    ]
    fill(web_analytics_schema, inserts)
    everyone = [(day, [*TEAMS, IDLE_TEAM]) for day in DAYS]
    assert_exact(web_analytics_schema, settings, everyone)
    before = stored_tables(web_analytics_schema, DAYS)
    merge(web_analytics_schema)
    for day, team_ids in everyone:
        build_partition(web_analytics_schema, settings, day, team_ids)
    assert stored_tables(web_analytics_schema, DAYS) == before


def event(number: int, at_us: int, session: str, **changed: Any) -> Event:
    properties = (("$pathname", "/"), ("$host", "example.com"))
    given_ = Event(1, uuid.UUID(int=number), "$pageview", at_us, session, properties, 1, 5 * ONE_DAY_US, None)
    return replace(given_, **changed)


def pageviews_by_day(clickhouse) -> dict[date, int]:
    counted: dict[date, int] = {}
    for (bucket, *_), (pageviews, *_) in stored_tables(clickhouse, DAYS)["stats"].items():
        counted[model.day_of(bucket)] = counted.get(model.day_of(bucket), 0) + pageviews
    return counted


def test_a_day_built_without_the_bucket_rule_would_not_be_exact(web_analytics_schema, settings):
    """The proof that such events tell right from wrong: counted by their own day, they are not what is stored."""
    fill(
        web_analytics_schema,
        [[event(number, ONE_DAY_US + number * 10**6, born(1, -600_000)) for number in range(1, 4)]],
    )
    assert_exact(web_analytics_schema, settings, [(DAYS[1], [1]), (DAYS[0], [1])])
    assert pageviews_by_day(web_analytics_schema) == {DAYS[0]: 3}
    by_own_day = web_analytics_schema.client.execute(
        "SELECT toDate(timestamp), count() FROM events WHERE event = '$pageview' GROUP BY 1"
    )
    assert by_own_day == [(DAYS[1], 3)]


def test_one_id_in_two_buckets_is_two_events(web_analytics_schema, settings):
    """Same id, instant and ingestion, sessions born at 09:12 and 10:12: it stopped the day for every team."""
    noon = ONE_DAY_US // 2
    sessions = [born((9 + 12 / 60) / 24), born((10 + 12 / 60) / 24)]
    twice = [event(1, noon, session) for session in sessions]
    fill(web_analytics_schema, [[each] for each in twice] + [[event(2, noon, born(0.4), team_id=2)]])
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1, 2])])
    assert pageviews_by_day(web_analytics_schema) == {DAYS[0]: 3}


@pytest.mark.parametrize("in_one_insert", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_of_two_rows_of_one_event_one_holds_in_every_column(
    web_analytics_schema, settings, in_one_insert, turned
):
    """Host of one and path of the other was a row that never existed."""
    rows = [
        event(1, 10**6, born(0), properties=(("$pathname", path), ("$host", host)))
        for path, host in (("/1", "one.example"), ("/2", "two.example"))
    ]
    rows = rows[::-1] if turned else rows
    fill(web_analytics_schema, [rows] if in_one_insert else [[row] for row in rows])
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    last = dict(rows[-1].properties)
    for table in stored_tables(web_analytics_schema, DAYS).values():
        [(_, _, host, _, entry_path, end_path, *_)] = table
        assert (host, entry_path, end_path) == (last["$host"], last["$pathname"], last["$pathname"])
    merge(web_analytics_schema)
    before = stored_tables(web_analytics_schema, DAYS)
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    assert stored_tables(web_analytics_schema, DAYS) == before


@pytest.mark.parametrize(
    ("columns", "heavy_settings", "reads_as"),
    [("*", {}, "projection"), ("*, _part_offset", {"optimize_use_projections": 1}, "table")],
)
def test_a_projection_of_the_events_changes_nothing(
    web_analytics_schema, settings, columns, heavy_settings, reads_as
):
    """Rows have other places in a projection, unless it keeps those of the table: another row would hold. So none is read
    unless an installation says so."""
    clickhouse = web_analytics_schema
    first, last = START + timedelta(hours=1), START + timedelta(hours=2)
    rows = [
        event(1, hour * ONE_DAY_US // 24, born(0), properties=(("$pathname", f"/{hour}"),)) for hour in (2, 1)
    ]
    # So that a projection saves the engine something: four granules, and each team begins in another one.
    others = [
        event(number, 9 * ONE_DAY_US + number, "", team_id=1 + number % 3) for number in range(2, 30_000)
    ]
    fill(clickhouse, [])
    for change in (
        "MODIFY SETTING deduplicate_merge_projection_mode = 'rebuild'",
        f"ADD PROJECTION by_instant (SELECT {columns} ORDER BY timestamp)",
    ):
        clickhouse.client.execute(f"ALTER TABLE events {change}")
    try:
        insert(clickhouse, rows + others, optimize_on_insert=0)
        placed_last = clickhouse.client.execute(
            "SELECT argMax(timestamp, _part_offset) FROM events WHERE timestamp < %(end)s AND team_id IN (1, 2, 3)",
            {"end": START + timedelta(days=1)},
            settings={"optimize_use_projections": 1, "use_query_condition_cache": 0},
        )
        assert placed_last == [({"table": first, "projection": last}[reads_as],)]

        with ClickHouse(clickhouse.conn_id, heavy_settings=heavy_settings) as connection:
            estimated = cost.source_rows(connection, DAYS[0], [1, 2, 3])
            assert (estimated > 8192) == (not heavy_settings), "what is read is what is estimated"
            assert_exact(connection, settings, [(DAYS[0], [1])])
            before = stored_tables(connection, DAYS)
            assert [key[-1] for key in before["stats"]] == ["/1"]
            merge(connection)
            assert_exact(connection, settings, [(DAYS[0], [1])])
            assert stored_tables(connection, DAYS) == before
    finally:
        clickhouse.client.execute("SYSTEM START MERGES events")
        clickhouse.client.execute("ALTER TABLE events DROP PROJECTION by_instant")


def test_the_row_holds_that_the_engine_keeps_not_the_one_inserted_later(web_analytics_schema, settings):
    rows = [
        event(1, 10**6, born(0), properties=(("$pathname", path),), written=written, inserted=inserted)
        for path, written, inserted in (
            ("/kept", 6 * ONE_DAY_US, 5 * ONE_DAY_US),
            ("/dropped", 5 * ONE_DAY_US, 7 * ONE_DAY_US),
        )
    ]
    fill(web_analytics_schema, [[row] for row in rows])
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    before = stored_tables(web_analytics_schema, DAYS)
    assert [key[-1] for key in before["stats"]] == ["/kept"]
    merge(web_analytics_schema)
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    assert stored_tables(web_analytics_schema, DAYS) == before


def test_a_session_is_a_uuid_in_whichever_letter_case(web_analytics_schema, settings):
    session = uuid7(int(START.timestamp() * 1000), 0xABCDEF)
    fill(web_analytics_schema, [[event(1, 10**6, session), event(2, 2 * 10**6, session.upper())]])
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    [(pageviews, sessions, _, session_count, bounces, seconds)] = stored_tables(web_analytics_schema, DAYS)[
        "bounces"
    ].values()
    assert (pageviews, sessions, session_count, bounces, seconds) == (2, 1, 1, 0, 1)


@pytest.mark.parametrize(("first", "last", "seconds"), [(900, 10_000, 10), (0, 9_999, 9), (999, 9_000, 9)])
def test_a_stay_is_counted_by_whole_seconds_of_the_clock(
    web_analytics_schema, settings, first, last, seconds
):
    rows = [event(1, first * 1000, born(0)), event(2, last * 1000, born(0), event="search")]
    fill(web_analytics_schema, [rows])
    assert_exact(web_analytics_schema, settings, [(DAYS[0], [1])])
    [(*_, bounces, stored)] = stored_tables(web_analytics_schema, DAYS)["bounces"].values()
    assert (bounces, stored) == (int(seconds < 10), seconds)


def test_a_session_ends_exactly_24_hours_after_its_start(web_analytics_schema, settings):
    noon, step = ONE_DAY_US // 2, (-1, 0, 1, ONE_DAY_US - 1, ONE_DAY_US, ONE_DAY_US + 1)
    fill(
        web_analytics_schema,
        [[event(number + 1, noon + offset, born(0.5)) for number, offset in enumerate(step)]],
    )
    assert_exact(web_analytics_schema, settings, [(DAYS[1], [1]), (DAYS[0], [1])])
    assert pageviews_by_day(web_analytics_schema) == {DAYS[0]: 4, DAYS[1]: 2}
