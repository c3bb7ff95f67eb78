"""What endpoints ask FastAPI for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends

from web_analytics.clickhouse import ClickHouse
from web_analytics.settings import Settings


def settings() -> Settings:
    """Read anew for each request, as each task does."""
    return Settings.load()


SettingsDep = Annotated[Settings, Depends(settings)]
# A person waits for the answer: unlike a task's, its queries do not stand back for others.
QUERY_SETTINGS = {"max_threads": 4, "os_thread_priority": 0}


def clickhouse(settings: SettingsDep) -> Iterator[ClickHouse]:
    """A connection for one request, closed after it."""
    with ClickHouse(
        settings.clickhouse_conn_id,
        origin=f"web_analytics_api:{uuid.uuid4().hex}",
        heavy_settings={**QUERY_SETTINGS, **settings.clickhouse_settings},
    ) as connection:
        yield connection


ClickHouseDep = Annotated[ClickHouse, Depends(clickhouse)]
