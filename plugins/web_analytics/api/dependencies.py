"""What endpoints ask FastAPI for."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, HTTPException, Query

from web_analytics.clickhouse import ClickHouse
from web_analytics.settings import Settings, region_names


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
