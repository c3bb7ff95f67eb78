"""``python -m demo load``: made-up events for whichever ClickHouse the connection leads to."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from demo import sample_data
from web_analytics import schema
from web_analytics.clickhouse.connection import ClickHouse


def load(events: int) -> None:
    """Creates PostHog's tables and fills them; nothing if there are events already.

    :param events: about so many; 0 for none.
    """
    if events <= 0:
        return
    with ClickHouse("clickhouse_default", origin=f"demo-{uuid.uuid4().hex[:8]}") as clickhouse:
        sample_data.create_source(clickhouse)
        schema.create_tables(clickhouse)
        if clickhouse.query("demo/count_events")[0]["events"]:
            print("The table events has rows already; nothing is added.")
            return
        sample_data.load(clickhouse, datetime.now(UTC).date(), events=events)
        print(f"Generated about {events:,} events.")
