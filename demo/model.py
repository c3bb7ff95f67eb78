"""What the tables must hold, worked out event by event in plain Python from the sentences of docs/semantics.md.

It shares no statement, view or expression with the pipeline or with the oracle: it reads raw rows, keeps each event's
uuid to the end, and reads properties with a JSON parser of its own.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

PAGEVIEWS = ("$pageview", "$screen")
ACTIVITIES = (*PAGEVIEWS, "$autocapture")
SECOND = 1_000_000  # in microseconds, in which all instants are counted
ONE_DAY = 86_400 * SECOND
SHORTEST_STAY_SECONDS = 10
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

TEXTS = {
    "host": "$host",
    "device_type": "$device_type",
    "browser": "$browser",
    "os": "$os",
    "referring_domain": "$referring_domain",
    "utm_source": "utm_source",
    "utm_medium": "utm_medium",
    "utm_campaign": "utm_campaign",
    "utm_term": "utm_term",
    "utm_content": "utm_content",
    "country_code": "$geoip_country_code",
    "city_name": "$geoip_city_name",
    "region_code": "$geoip_subdivision_1_code",
    "region_name": "$geoip_subdivision_1_name",
}
WHOLE_NUMBERS = {"viewport_width": "$viewport_width", "viewport_height": "$viewport_height"}
CLICK_IDS = {"has_gclid": "gclid", "has_fbclid": "fbclid"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the source.

    :ivar at: when it happened, in microseconds since 1970.
    :ivar precedence: which of the rows of one event holds: the largest.
    :ivar properties: JSON.
    """

    team_id: int
    uuid: UUID
    event: str
    at: int
    session: str
    distinct_id: str
    person_id: UUID
    precedence: tuple[int, ...]
    properties: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A session in one bucket.

    :ivar bucket: where the bucket begins, in seconds since 1970.
    :ivar pageviews: its pageviews' rows, the first one first; one row for each uuid.
    """

    team_id: int
    bucket: int
    session: str
    pageviews: tuple[Row, ...]
    seconds: int
    is_bounce: bool

    @property
    def day(self) -> date:
        return day_of(self.bucket)


def day_of(bucket: int) -> date:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=bucket)).date()


def session_of(text: str) -> tuple[str, int] | None:
    """The session that an id names, and when it began; None if it is no UUIDv7."""
    canonical = text.lower()
    if not UUID7.fullmatch(canonical):
        return None
    return canonical, int(canonical[:8] + canonical[9:13], 16) * 1000


def bucket_of(row: Row, bucket_minutes: int) -> int:
    session = session_of(row.session)
    instant = row.at
    if session is not None and session[1] <= row.at < session[1] + ONE_DAY:
        instant = session[1]
    width = bucket_minutes * 60
    return instant // SECOND // width * width


def holding_rows(rows: Iterable[Row], bucket_minutes: int) -> dict[tuple[int, int, UUID], Row]:
    """The row that holds, of each event: by team, bucket and uuid."""
    holding: dict[tuple[int, int, UUID], Row] = {}
    for row in rows:
        key = (row.team_id, bucket_of(row, bucket_minutes), row.uuid)
        if key not in holding or row.precedence > holding[key].precedence:
            holding[key] = row
    return holding


def visits(rows: Iterable[Row], bucket_minutes: int = 60) -> tuple[list[Visit], list[tuple[int, int]]]:
    """The visits that have a pageview, and (team, bucket) of each pageview without a session, which is left out."""
    events: dict[tuple[int, int, str], list[Row]] = defaultdict(list)
    left_out = []
    for (team_id, bucket, _), row in holding_rows(rows, bucket_minutes).items():
        session = session_of(row.session)
        if session is not None:
            events[team_id, bucket, session[0]].append(row)
        elif row.event in PAGEVIEWS:
            left_out.append((team_id, bucket))
    found = []
    for (team_id, bucket, session_id), of_session in events.items():
        pageviews = sorted((row for row in of_session if row.event in PAGEVIEWS), key=_moment)
        if not pageviews:
            continue
        instants = [row.at // SECOND for row in of_session]
        seconds = max(instants) - min(instants)
        activities = sum(row.event in ACTIVITIES for row in of_session)
        is_bounce = activities <= 1 and seconds < SHORTEST_STAY_SECONDS
        found.append(Visit(team_id, bucket, session_id, tuple(pageviews), seconds, is_bounce))
    return found, left_out


def people(overrides: Iterable[tuple[int, str, UUID, bool, tuple[int, ...]]]) -> dict[tuple[int, str], UUID]:
    """Who a distinct id belongs to now.

    :param overrides: (team, distinct id, person, whether it is deleted, precedence).
    """
    holding: dict[tuple[int, str], tuple] = {}
    for team_id, distinct_id, person_id, is_deleted, precedence in overrides:
        key = (team_id, distinct_id)
        if key not in holding or precedence > holding[key][0]:
            holding[key] = (precedence, person_id, is_deleted)
    return {key: person_id for key, (_, person_id, is_deleted) in holding.items() if not is_deleted}


def person_of(visit: Visit, merged: Mapping[tuple[int, str], UUID]) -> UUID:
    last = visit.pageviews[-1]
    return merged.get((last.team_id, last.distinct_id), last.person_id)


def dimensions(visit: Visit) -> dict[str, Any]:
    """The columns that both tables group by, beside bucket and team."""
    properties = parse(visit.pageviews[0].properties)
    return {
        **{column: text_of(properties.get(name)) for column, name in TEXTS.items()},
        **{column: whole_number_of(properties.get(name)) for column, name in WHOLE_NUMBERS.items()},
        **{column: is_click_id(properties.get(name)) for column, name in CLICK_IDS.items()},
        "has_gad_source_paid_search": text_of(properties.get("gad_source")) == "1",
        "entry_pathname": pathname(visit.pageviews[0]),
        "end_pathname": pathname(visit.pageviews[-1]),
    }


def pathname(row: Row) -> str:
    properties = parse(row.properties)
    if own := text_of(properties.get("$pathname")):
        return own
    of_url = urlsplit(text_of(properties.get("$current_url"))).path
    return of_url if of_url.startswith("/") else ""


def parse(properties: str) -> dict[str, Any]:
    """Of a name that occurs twice the first value counts; numbers keep the text that they have."""
    try:
        parsed = json.loads(properties, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def text_of(value: Any) -> str:
    if value is None or value == "null":
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def whole_number_of(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return 0
    if isinstance(value, str) and not re.fullmatch(r"[+-]?[0-9]*\.?[0-9]*([eE][+-]?[0-9]+)?", value):
        return 0
    try:
        number = int(value) if not isinstance(value, float) else math.trunc(value)
    except ValueError:
        try:
            number = math.trunc(float(value))
        except (ValueError, OverflowError):
            return 0
    return number if -(2**63) <= number < 2**63 else 0


def is_click_id(value: Any) -> bool:
    return isinstance(value, int | float | str) and not isinstance(value, bool) and text_of(value) not in (
        "", "true", "false"
    )  # fmt: skip


def _moment(row: Row) -> tuple[int, int, int]:
    """Pageviews of one instant are in ClickHouse's order of UUIDs, which compares the second half first."""
    return row.at, row.uuid.int & (2**64 - 1), row.uuid.int >> 64
