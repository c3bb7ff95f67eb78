"""Loads a web server's access log in combined format as the events of one team.

Python only sends the lines; ClickHouse reads them (``include/sql/sample_data``).
"""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from web_analytics.clickhouse.connection import ClickHouse

TEAM_ID = 1
LINES_PER_BLOCK = 50_000


class UnusableLog(ValueError):
    """The log cannot be loaded; the message says why and is for people."""


@dataclass(frozen=True)
class LogSummary:
    """What became of the lines of a log.

    :ivar page_days: the days (UTC) with a page request, as the log has them.
    :ivar shift_days: by how many days the events lie later than the lines they come from.
    """

    lines: int
    taken: int
    ignored: int
    malformed: int
    first_day: date
    last_day: date
    page_days: tuple[date, ...]
    shift_days: int


@dataclass(frozen=True)
class Reach:
    """What of a log a run can build.

    :ivar pageviews: page requests by day, of the days that a run looks at.
    :ivar not_built: a sentence for each other day.
    """

    pageviews: dict[date, int]
    not_built: tuple[str, ...]


def within_reach(pageviews: Mapping[date, int], today: date, max_days_back: int, first_day: date) -> Reach:
    """Tells the days that a run can build from those that it cannot.

    :param pageviews: page requests by the day that they are stored under.
    :param first_day: nothing earlier is built.
    """
    reached: dict[date, int] = {}
    sentences = []
    for day, count in sorted(pageviews.items()):
        if day < first_day:
            reason = f"it lies before WEB_ANALYTICS_PARTITIONS_START_DATE ({first_day})"
        elif day < today - timedelta(days=max_days_back):
            reason = (
                f"it lies {(today - day).days} days back, and a run looks back {max_days_back} days at most"
            )
        else:
            reached[day] = count
            continue
        sentences.append(f"{count} page requests of {day} are not built: {reason}.")
    return Reach(reached, tuple(sentences))


def check_readable(path: Path) -> None:
    """Fails before anything heavy is started.

    :raises UnusableLog: there is no such file, it cannot be read, or it is empty.
    """
    if not path.exists():
        raise UnusableLog(f"There is no access log at {path}.")
    if not path.is_file():
        raise UnusableLog(f"{path} is not a file.")
    try:
        first_line = next(read_lines(path), None)
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableLog(f"The access log {path} cannot be read: {error}.") from error
    if first_line is None:
        raise UnusableLog(f"The access log {path} is empty.")


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, gzip-compressed or not, without their line ends."""
    with open(path, "rb") as raw:
        is_compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        with gzip.open(raw) if is_compressed else raw as file:
            for line in file:
                yield line.rstrip(b"\r\n")


def load(clickhouse: ClickHouse, path: Path, newest_closed_day: date) -> LogSummary:
    """Fills ``events`` from the log, shifted so that its last day becomes the newest closed day.

    :raises UnusableLog: the log has no line in combined format, or no page request, or breaks off.
    """
    for table in ("access_log_lines", "access_log_requests"):
        clickhouse.run(f"demo/create_{table}")
    numbered = enumerate(read_lines(path), start=1)
    try:
        while block := list(itertools.islice(numbered, LINES_PER_BLOCK)):
            rows = ({"line_number": number, "line": line} for number, line in block)
            clickhouse.insert("demo/insert_access_log_lines", rows)
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableLog(f"The access log {path} cannot be read to its end: {error}.") from error
    clickhouse.run("demo/parse_access_log")
    row = clickhouse.query("demo/summarise_access_log")[0]
    if row["malformed"] == row["lines"]:
        raise UnusableLog(f"None of the {row['lines']} lines of {path} is in the combined log format.")
    summary = LogSummary(
        **{**row, "page_days": tuple(row["page_days"])},
        shift_days=(newest_closed_day - row["last_day"]).days,
    )
    if not summary.taken:
        raise UnusableLog(
            f"{path} has no page request: {summary.ignored} lines were ignored, {summary.malformed} are malformed."
        )
    clickhouse.run(
        "demo/access_log_events",
        {
            "team_id": TEAM_ID,
            "shift_days": summary.shift_days,
            "ingested_at": datetime.now(UTC).replace(microsecond=0, tzinfo=None),
        },
    )
    return summary
