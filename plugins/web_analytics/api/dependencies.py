"""What endpoints ask FastAPI for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.regions import region_names
from web_analytics.settings import Settings


def region(
    region: Annotated[
        str, Query(description="One of WEB_ANALYTICS_REGIONS; empty: the connection without one.")
    ] = "",
) -> str:
    """The region that a request is about."""
    if region and region not in region_names():
        raise HTTPException(404, f"There is no region {region[:40]!r} in WEB_ANALYTICS_REGIONS.")
    return region


RegionDep = Annotated[str, Depends(region)]


def settings(region: RegionDep) -> Settings:
    """Read anew for each request, as each task does."""
    return Settings.of_region(region)


SettingsDep = Annotated[Settings, Depends(settings)]
# A person waits for the answer: unlike a task's, its queries do not stand back for others.
QUERY_SETTINGS = {
    "max_threads": 4,
    "os_thread_priority": 0,
    # Of a few teams: the other columns are read only where their rows are.
    "optimize_move_to_prewhere_if_final": 1,
}


def connect(settings: Settings, **query_settings: Any) -> ClickHouse:
    """A connection of the API server, to be closed by the caller."""
    return ClickHouse(
        settings.clickhouse_conn_id,
        origin=f"web_analytics_api:{uuid.uuid4().hex}",
        heavy_settings={**query_settings, **settings.clickhouse_settings},
        pauses=(),
    )


def clickhouse(settings: SettingsDep) -> Iterator[ClickHouse]:
    """A connection for one request, closed after it."""
    with connect(settings, **QUERY_SETTINGS) as connection:
        yield connection


ClickHouseDep = Annotated[ClickHouse, Depends(clickhouse)]
