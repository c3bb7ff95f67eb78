"""What endpoints ask FastAPI for."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Query, Request

from web_analytics.api.limits import PLACES, ended_with_client
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.regions import region_names
from web_analytics.settings import Settings


async def region(
    region: Annotated[
        str, Query(description="One of WEB_ANALYTICS_REGIONS; empty: the connection without one.")
    ] = "",
) -> str:
    """The region that a request is about."""
    if region and region not in region_names():
        raise HTTPException(404, f"There is no region {region[:40]!r} in WEB_ANALYTICS_REGIONS.")
    return region


RegionDep = Annotated[str, Depends(region)]


async def settings(region: RegionDep) -> Settings:
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


def connect(settings: Settings, conn_id: str, answer_within: float, **query_settings: Any) -> ClickHouse:
    """A connection of the API server, to be closed by the caller.

    :param conn_id: another connection than that of the settings; empty for that.
    :param answer_within: seconds for everything that is asked on it.
    """
    return ClickHouse(
        conn_id or settings.clickhouse_conn_id,
        origin=f"web_analytics_api:{uuid.uuid4().hex}",
        heavy_settings={**query_settings, **settings.clickhouse_settings},
        pauses=(),
        answer_within=answer_within,
    )


async def clickhouse(request: Request, settings: SettingsDep) -> AsyncGenerator[ClickHouse]:
    """A connection for one request, which has a place (``limits.Place``). Nothing is connected yet: that is done in the
    thread of the endpoint."""
    PLACES.available = settings.api_max_requests
    reads = request.method == "GET"
    conn_id = settings.reader_conn_id if reads else ""
    with connect(settings, conn_id, settings.api_max_seconds, **QUERY_SETTINGS) as connection:
        async with ended_with_client(request, connection):
            yield connection


# Closed before the answer is sent, like the place.
ClickHouseDep = Annotated[ClickHouse, Depends(clickhouse, scope="function")]
