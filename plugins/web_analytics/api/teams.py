"""The registry of teams."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from web_analytics.api.dependencies import ClickHouseDep
from web_analytics.api.security import reader

router = APIRouter(prefix="/teams", tags=["teams"])


class Team(BaseModel):
    """A registered team; the newest version of its row."""

    team_id: int = Field(ge=0)
    enabled: bool
    timezone: str = Field(description="IANA name of the zone that the team's days are counted in.")
    backfill_days: int = Field(description="Period of the team's first backfill, in local days.")
    changed_by: str = Field(description="Who made this version; empty where it was not this API.")
    changed_at: datetime


class Teams(BaseModel):
    teams: list[Team]
    total_entries: int


@router.get("", dependencies=[Depends(reader)])
def list_teams(
    clickhouse: ClickHouseDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Teams:
    """The registered teams, by id."""
    rows = clickhouse.query("teams/list_registered", {"limit": limit, "offset": offset})
    total = clickhouse.query("teams/count_registered")[0]["teams"]
    return Teams(teams=[Team(**row) for row in rows], total_entries=total)
