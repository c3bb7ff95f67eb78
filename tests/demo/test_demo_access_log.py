"""Access logs: the rules on a small log of every odd kind, and the counts of a real one, where there is one."""

from __future__ import annotations

import gzip
import os
import re
import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from demo import access_log, verification
from demo.access_log import UnusableLog
from web_analytics.build.steps import build_partition
from web_analytics.rules.partitions import ONE_DAY, DateRange

SMALL_LOG = Path(__file__).parent / "data" / "access.log"
REAL_LOG = Path(
    os.environ.get("ACCESS_LOG")
    or Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "access_log_2015-05.log"
)
CLOSED = date(2026, 3, 10)
LINE = re.compile(
    rb"^(?:[\w.-]+(?::\d+)? )?(?P<client>[0-9A-Za-z:][\w.:%-]*) \S+ [^\[]+? \[(?P<at>[^\]]+)\] "
    rb'"(?P<request>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?:\d+|-) "(?:[^"\\]|\\.)*" "(?P<agent>(?:[^"\\]|\\.)*)"(?:\s|$)'
)


def page_requests(path: Path) -> tuple[list[tuple[datetime, bytes, bytes]], Counter]:
    """(instant, client, user agent) of each page request, and how many lines are of which kind."""
    pages, kinds = [], Counter()
    for line in path.read_bytes().removesuffix(b"\n").split(b"\n"):
        found = LINE.match(line)
        try:
            instant = datetime.strptime(found["at"].decode(), "%d/%b/%Y:%H:%M:%S %z").astimezone(UTC)
        except (TypeError, ValueError):
            kinds["malformed"] += 1
            continue
        method, _, rest = found["request"].partition(b" ")
        target = re.sub(rb"^https?://[^/?#]*/?", b"/", re.sub(rb" HTTP/[0-9.]+$", b"", rest))
        name = re.split(rb"[?#]", target)[0].rpartition(b"/")[2]
        extension = name.rpartition(b".")[2].lower() if b"." in name else b""
        if (
            method == b"GET"
            and found["status"] in (b"200", b"304")
            and extension in (b"", b"html", b"htm", b"php")
        ):
            kinds["taken"] += 1
            pages.append((instant, found["client"], found["agent"]))
        else:
            kinds["ignored"] += 1
    return pages, kinds


def sessions_of(pages) -> list[list[datetime]]:
    """The instants of each session's page requests."""
    sessions: list[list[datetime]] = []
    current: dict = {}
    for instant, *visitor in sorted(pages):
        session = current.get(tuple(visitor))
        if session is None or instant - session[-1] > timedelta(minutes=30):
            session = current[tuple(visitor)] = []
            sessions.append(session)
        session.append(instant)
    return sessions


def pageviews_per_day(pages) -> Counter:
    """Page requests by the day they are stored under: that of their session's first request."""
    return Counter(
        (session[0] if instant - session[0] < timedelta(hours=24) else instant).date()
        for session in sessions_of(pages)
        for instant in session
    )


def events(clickhouse, columns: str) -> list[tuple]:
    return clickhouse.client.execute(f"SELECT {columns} FROM events ORDER BY uuid")


def test_every_line_of_the_small_log_is_taken_ignored_or_malformed(web_analytics_schema):
    summary = access_log.load(web_analytics_schema, SMALL_LOG, CLOSED)
    assert (summary.lines, summary.taken, summary.ignored, summary.malformed) == (38, 22, 11, 5)
    # An ignored request on 11 March is the last line that could be read.
    assert (summary.first_day, summary.last_day) == (date(2024, 3, 9), date(2024, 3, 11))
    assert summary.page_days == (date(2024, 3, 9), date(2024, 3, 10))
    assert summary.shift_days == (CLOSED - date(2024, 3, 11)).days
    assert page_requests(SMALL_LOG)[1] == {"taken": 22, "ignored": 11, "malformed": 5}


def test_small_log_becomes_pageviews(web_analytics_schema):
    access_log.load(web_analytics_schema, SMALL_LOG, CLOSED)
    rows = events(
        web_analytics_schema,
        "toUInt64(substring(toString(uuid), 25)), event, timestamp, JSONExtractString(properties, '$pathname'), "
        "JSONExtractString(properties, '$host'), JSONExtractString(properties, '$raw_user_agent')",
    )
    assert {event for _, event, *_ in rows} == {"$pageview"}
    by_line = {line: rest for line, _, *rest in rows}
    before_midnight = datetime(2026, 3, 8, 23, 10, tzinfo=UTC)
    assert by_line[1][:2] == [before_midnight, "/"]
    assert by_line[5][1:] == by_line[6][1:], "the same line twice is two events"
    assert by_line[7][1] == "/second.php"
    assert by_line[9][0] == datetime(2026, 3, 9, 20, 0, tzinfo=UTC), "+0530"
    assert by_line[10][0] == datetime(2026, 3, 9, 2, 30, tzinfo=UTC), "-0800"
    assert by_line[13][3].startswith('A "strange" browser')
    assert by_line[15][1:3] == ["/hosted", "shop.example"]
    assert by_line[16][1:3] == ["/absolute", "proxy.example"]
    assert by_line[17][1] == "/"
    assert by_line[18][1] == "/caf%C3%A9/50%25"
    assert by_line[19][1] == "/with a space"
    assert by_line[37][1] == "/caf\N{REPLACEMENT CHARACTER}"
    assert by_line[38][1] == "/last"


def test_sessions_end_after_thirty_minutes_and_begin_with_their_first_request(web_analytics_schema):
    access_log.load(web_analytics_schema, SMALL_LOG, CLOSED)
    rows = events(
        web_analytics_schema, "toUInt64(substring(toString(uuid), 25)), timestamp, `$session_id`, distinct_id"
    )
    session = {line: session for line, _, session, _ in rows}
    person = {line: distinct_id for line, *_, distinct_id in rows}
    assert session[1] != session[3]
    assert session[3] == session[4] == session[5]
    assert session[7] == session[8]
    assert person[1] == person[3] != person[7], "a visitor is an address and a user agent"
    first_request: dict = {}
    for _, instant, of_session, _ in rows:
        first_request[of_session] = min(instant, first_request.get(of_session, instant))
    for of_session, instant in first_request.items():
        parsed = uuid.UUID(of_session)
        assert parsed.version == 7
        assert parsed.int >> 80 == int(instant.timestamp() * 1000)
    assert len(first_request) == len(sessions_of(page_requests(SMALL_LOG)[0]))


def test_the_same_log_gives_the_same_events(web_analytics_schema, clickhouse):
    columns = "uuid, timestamp, `$session_id`, distinct_id, person_id, properties"
    access_log.load(web_analytics_schema, SMALL_LOG, CLOSED)
    first = events(clickhouse, columns)
    for table in ("events", "access_log_lines", "access_log_requests"):
        clickhouse.client.execute(f"TRUNCATE TABLE {table}")
    access_log.load(web_analytics_schema, SMALL_LOG, CLOSED)
    assert events(clickhouse, columns) == first


def test_a_compressed_log_is_the_same_log(web_analytics_schema, tmp_path):
    compressed = tmp_path / "access.log.gz"
    compressed.write_bytes(gzip.compress(SMALL_LOG.read_bytes()))
    access_log.check_readable(compressed)
    assert access_log.load(web_analytics_schema, compressed, CLOSED).taken == 22


def test_a_log_of_several_blocks(web_analytics_schema, monkeypatch):
    monkeypatch.setattr(access_log, "LINES_PER_BLOCK", 7)
    assert access_log.load(web_analytics_schema, SMALL_LOG, CLOSED).lines == 38


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no access log at"),
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"x" * 10_000)[:30], "cannot be read"),
    ],
    ids=["no file", "empty", "empty gzip", "cut gzip"],
)
def test_what_cannot_be_a_log_is_refused_at_once(tmp_path, content, sentence):
    path = tmp_path / "access.log"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableLog, match=sentence):
        access_log.check_readable(path)


def test_a_directory_is_no_log(tmp_path):
    with pytest.raises(UnusableLog, match="is not a file"):
        access_log.check_readable(tmp_path)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"some\nother\nfile\n", "None of the 3 lines of .* is in the combined log format"),
        (
            b'192.0.2.1 - - [09/Mar/2024:23:10:01 +0000] "GET /a.css HTTP/1.1" 200 512 "-" "b"\nx\n',
            "no page request: 1 lines were ignored, 1 are malformed",
        ),
        (gzip.compress(os.urandom(200_000))[:-50_000], "cannot be read to its end"),
    ],
)
def test_a_log_without_use_is_refused(web_analytics_schema, tmp_path, content, sentence):
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(UnusableLog, match=sentence):
        access_log.load(web_analytics_schema, path, CLOSED)


@pytest.mark.parametrize("path", [SMALL_LOG, pytest.param(REAL_LOG, id="real")])
def test_both_tables_hold_the_page_requests_that_python_counts(web_analytics_schema, settings, path):
    if not path.exists():
        pytest.skip("no real access log here; name one in ACCESS_LOG")
    pages, kinds = page_requests(path)
    summary = access_log.load(web_analytics_schema, path, CLOSED)
    assert kinds == {"taken": summary.taken, "ignored": summary.ignored, "malformed": summary.malformed}
    assert sum(kinds.values()) == summary.lines
    shift = timedelta(days=summary.shift_days)
    expected = {day + shift: count for day, count in pageviews_per_day(pages).items()}
    dates = DateRange(min(expected), max(expected) + ONE_DAY)
    for day in dates:
        build_partition(web_analytics_schema, settings, day, [access_log.TEAM_ID])
    stored = verification.stored_rows(web_analytics_schema, dates)
    for table in ("stats", "bounces"):
        assert {row["day"]: row["pageviews"] for row in stored[table]} == expected
    if all(session[-1] - session[0] < timedelta(hours=24) for session in sessions_of(pages)):
        assert sum(row["sessions"] for row in stored["bounces"]) == len(sessions_of(pages))
    requested = Counter((instant + shift).date() for instant, *_ in pages)
    assert Counter(instant.date() for (instant,) in events(web_analytics_schema, "timestamp")) == requested
    if path == REAL_LOG and path.name == "access_log_2015-05.log":
        assert expected == requested, "no session of this log goes on past midnight"


NOON = "10/Mar/2024:12:00:00 +0000"
NOON_UTC = datetime(2024, 3, 10, 12, tzinfo=UTC)
# what the fields before the user are, the instant, what follows it → host, client, instant; None: malformed
FORMS = [
    ("192.0.2.1", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("shop.example 192.0.2.1", NOON, ("shop.example", "192.0.2.1", NOON_UTC)),
    ("- 192.0.2.1", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("_ 192.0.2.1", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("_:443 192.0.2.1", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("192.0.2.1:5123", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("[2001:db8::17]:5123", NOON, ("", "2001:db8::17", NOON_UTC)),
    ("[2001:db8::17]", NOON, ("", "2001:db8::17", NOON_UTC)),
    ("2001:db8::17", NOON, ("", "2001:db8::17", NOON_UTC)),
    ("shop.example:443 [2001:db8::17]:5123", NOON, ("shop.example", "2001:db8::17", NOON_UTC)),
    ("192.0.2.1, 198.51.100.7", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("192.0.2.1,198.51.100.7, 203.0.113.5", NOON, ("", "192.0.2.1", NOON_UTC)),
    ("unknown, 198.51.100.7", NOON, ("", "198.51.100.7", NOON_UTC)),
    ("-, 198.51.100.7", NOON, ("", "198.51.100.7", NOON_UTC)),
    ("[2001:db8::17]:1, 198.51.100.7", NOON, ("", "2001:db8::17", NOON_UTC)),
    ("192.0.2.1", "10/Mar/2024:12:00:00 Z", ("", "192.0.2.1", NOON_UTC)),
    ("192.0.2.1", "10/Mar/2024:12:00:00Z", ("", "192.0.2.1", NOON_UTC)),
    ("192.0.2.1", "10/Mar/2024:13:30:00 +01:30", ("", "192.0.2.1", NOON_UTC)),
    ("192.0.2.1", "1/Mar/2024:12:00:00 +0000", ("", "192.0.2.1", datetime(2024, 3, 1, 12, tzinfo=UTC))),
    ("192.0.2.1", " 1/Mar/2024:12:00:00 +0000", ("", "192.0.2.1", datetime(2024, 3, 1, 12, tzinfo=UTC))),
    (
        "192.0.2.1",
        "31/Dec/2105:23:59:59 +0000",
        ("", "192.0.2.1", datetime(2105, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ),
    ("192.0.2.1", "01/Jan/2106:00:00:00 +0000", None),
    ("192.0.2.1", "10/Mar/2160:12:00:00 +0000", None),
    ("192.0.2.1", "10/Mar/1969:12:00:00 +0000", None),
    ("192.0.2.1", "10/Mar/24:12:00:00 +0000", None),
]


def test_forms_of_hosts_clients_and_instants(web_analytics_schema, tmp_path):
    path = tmp_path / "access.log"
    lines = [f'{before} - - [{instant}] "GET /page HTTP/1.1" 200 7 "-" "b"' for before, instant, _ in FORMS]
    spaced = '192.0.2.1  -  -  [10/Mar/2024:12:00:00 +0000]  "GET /page HTTP/1.1"  200  7  "-"  "b"'
    path.write_text("\n".join([*lines, spaced]))
    summary = access_log.load(web_analytics_schema, path, CLOSED)
    rows = web_analytics_schema.client.execute(
        "SELECT state, virtual_host, client, received_at FROM access_log_requests ORDER BY line_number"
    )
    found = {
        line: None if state == "malformed" else tuple(rest)
        for line, (state, *rest) in zip([*lines, spaced], rows, strict=True)
    }
    expected = {line: form[-1] for line, form in zip(lines, FORMS, strict=True)}
    assert found == {**expected, spaced: ("", "192.0.2.1", NOON_UTC)}
    assert summary.malformed == 4


def test_one_client_is_one_visitor_whatever_its_port(web_analytics_schema, tmp_path):
    path = tmp_path / "access.log"
    clients = ("192.0.2.1:5123", "192.0.2.1:6000", "192.0.2.1, 10.0.0.1")
    path.write_text("\n".join(f'{each} - - [{NOON}] "GET / HTTP/1.1" 200 7 "-" "b"' for each in clients))
    access_log.load(web_analytics_schema, path, CLOSED)
    assert len({visitor for (visitor,) in events(web_analytics_schema, "distinct_id")}) == 1
