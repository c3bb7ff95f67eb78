"""Instants from ClickHouse are in UTC, whichever way the server and the driver give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def test_instants_are_in_utc(source):
    [row] = source.clickhouse.query("detection/read_known_range", {"source": "posthog"})
    assert row["server_now"].tzinfo is UTC
    assert abs(datetime.now(UTC) - row["server_now"]) < timedelta(minutes=1)
    assert row["scanned_at"].tzinfo is UTC
