"""Keeps ``web_analytics_activity``: what the source holds of each day and team, so that detection need not scan it.

Rows are recorded by their day of ingestion, and each scan covers whole days of ingestion: scanning twice changes
nothing. The watermark tells up to when ingested rows are known; a refresh reads the rows ingested since the day in
which it lies, for all teams of the source. Ingestion times are not monotone, therefore the overlap, and once a week
an exact scan of all known days.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.rules.partitions import DateRange, chunks
from web_analytics.settings import Settings

log = logging.getLogger(__name__)

# A row may become visible this much later than its ingestion time says, and still be found by the next refresh.
OVERLAP = timedelta(hours=2)
RECONCILED_EVERY = timedelta(days=7)
# One statement scans at most so many days of the source.
DAYS_PER_SCAN = 30
# Clocks of visitors run ahead: events of tomorrow are kept as well, later ones are not.
DAYS_AHEAD = 2
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class KnownRange:
    """What is known without scanning the source.

    :ivar known_from: all days from this one on are known; None before the first scan.
    :ivar watermark: rows ingested before it are known.
    :ivar scanned_at: when the source was last scanned; None before the first scan.
    :ivar reconciled_at: when all known days were last scanned.
    :ivar server_now: the time of ClickHouse.
    :ivar scan_at: names a scan that begins now. It is newer than all others, also where the clock was put back: of two scans
        of one day the newer one holds.
    :ivar has_part_name: whether the source view tells a row's part.
    """

    known_from: date | None
    watermark: datetime
    scanned_at: datetime | None
    reconciled_at: datetime
    server_now: datetime
    scan_at: datetime
    has_part_name: bool

    def contains(self, days: DateRange) -> bool:
        return self.known_from is not None and self.known_from <= days.start

    @property
    def since(self) -> datetime:
        """From when on ingested rows have to be read to know them all: the beginning of a UTC day."""
        return datetime.combine(max(self.watermark - OVERLAP, EPOCH).date(), time(), tzinfo=UTC)

    @property
    def horizon(self) -> date:
        """The first day that is not kept: events from the future."""
        return self.server_now.date() + timedelta(days=DAYS_AHEAD)

    @property
    def is_due_for_reconciliation(self) -> bool:
        return self.known_from is not None and self.server_now - self.reconciled_at >= RECONCILED_EVERY


def known_range(clickhouse: ClickHouse, settings: Settings) -> KnownRange:
    row = clickhouse.query("detection/read_known_range", {"source": settings.source})[0]
    return KnownRange(
        known_from=row["known_from"] if row["scans"] else None,
        watermark=row["watermark"],
        scanned_at=row["scanned_at"] if row["scans"] else None,
        reconciled_at=row["reconciled_at"],
        server_now=row["server_now"],
        scan_at=row["scan_at"],
        has_part_name=bool(row["has_part_name"]),
    )


def is_kept(settings: Settings) -> bool:
    return settings.activity == "kept"


def refresh(
    clickhouse: ClickHouse, settings: Settings, needed: DateRange, known: KnownRange | None = None
) -> KnownRange:
    """Brings the activity up to date and extends it to ``needed``; repeating it changes nothing.

    :param known: what is known, where the caller has read it.
    :returns: what is known now.
    """
    known = known or known_range(clickhouse, settings)
    # A plausible range only: an event dated 1970 or 2100 must not make a partition of its own.
    if known.known_from is not None:
        plausible = DateRange(settings.partitions_start_date, known.horizon)
        _scan(clickhouse, settings, known, "refresh", plausible)
        known_from = known.known_from
    else:
        known_from = known.horizon
    for days in chunks(DateRange(needed.start, known_from), DAYS_PER_SCAN):
        _scan(clickhouse, settings, known, "extension", days)
    if known.is_due_for_reconciliation:
        everything = DateRange(min(known_from, needed.start), known.horizon)
        # The newest days last: only with them is a reconciliation done, and one that broke off begins anew.
        for days in reversed(list(chunks(everything, DAYS_PER_SCAN))):
            _scan(clickhouse, settings, known, "reconciliation", days)
    return known_range(clickhouse, settings)


def record_read(
    clickhouse: ClickHouse, settings: Settings, days: DateRange, read_at: datetime, names: dict[str, str]
) -> None:
    """Records what a build has read of its day where something else is kept: whatever that was, this is what its teams have.

    :param read_at: names the reading, see :class:`KnownRange`; asked for before the source was read.
    :param names: the build's tables: ``events``, ``repeated``, ``visits`` and ``build_teams``.
    """
    if not is_kept(settings):
        return
    day = {"date_start": days.start, "date_end": days.end}
    # As a rule none: the events were refreshed before the day was planned.
    if changed := clickhouse.query("detection/list_changed_activity", day, names, heavy=True):
        clickhouse.run(
            "detection/record_read_activity",
            {**day, "scanned_at": as_text(read_at)},
            names,
            external_tables=[teams_table(row["team_id"] for row in changed)],
            heavy=True,
        )


def _scan(clickhouse: ClickHouse, settings: Settings, known: KnownRange, kind: str, days: DateRange) -> None:
    since = known.since if kind == "refresh" else EPOCH
    parameters = {"date_start": days.start, "date_end": days.end, "scanned_at": as_text(known.scan_at)}
    done = clickhouse.run(
        "detection/refresh_activity" if kind == "refresh" else "detection/rescan_activity",
        {**parameters, "since": as_text(since)},
        {"bucket_minutes": settings.bucket_minutes, "has_part_name": known.has_part_name},
        heavy=True,
    )
    watermark = EPOCH
    if kind == "refresh" or known.known_from is None:
        # Only these know everything that was ingested up to the newest row that they have seen.
        newest = clickhouse.query(
            "detection/newest_ingested",
            {
                "since": as_text(since),
                "now": as_text(known.server_now),
                "scanned_at": as_text(known.scan_at),
            },
        )[0]["newest"]
        watermark = max(known.watermark, newest)
    clickhouse.run(
        "detection/record_activity_scan",
        {
            **parameters,
            "source": settings.source,
            "kind": kind,
            "watermark": as_text(watermark),
            "rows_read": done.rows_read,
            "seconds": done.seconds,
        },
    )
    log.info(
        "Activity: %s of %s up to, not including, %s read %d rows in %.1f s.",
        kind,
        days.start,
        days.end,
        done.rows_read,
        done.seconds,
    )


def as_text(instant: datetime) -> str:
    """An instant as a statement's ``toDateTime64(…, 6, 'UTC')`` takes it, with its microseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
