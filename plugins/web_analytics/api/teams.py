"""The registry of teams."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from web_analytics.api.dependencies import ClickHouseDep, RegionDep, SettingsDep
from web_analytics.api.limits import Place, in_own_thread
from web_analytics.api.problems import Problem
from web_analytics.api.runs import start_team_backfill
from web_analytics.api.security import CurrentUser, editor, reader
from web_analytics.clickhouse.connection import teams_table
from web_analytics.detection.coverage import coverage_query
from web_analytics.parsers import MAX_TEAM_ID
from web_analytics.rules import time_zones
from web_analytics.rules.partitions import closed_part, lookback
from web_analytics.settings import MAX_TEAM_BACKFILL_DAYS
from web_analytics.teams import registry
from web_analytics.teams.first_backfills import SUCCEEDED, remark_on
from web_analytics.teams.registry import Registration
from web_analytics.teams.selection import is_rolled_out, select_teams

router = APIRouter(prefix="/teams", tags=["teams"])
LONGEST_NAME = 200


def _known_zone(name: str) -> str:
    if not time_zones.is_valid(name):
        raise ValueError("not an IANA time zone such as Europe/Berlin")
    return name


def _whole(number: object) -> object:
    """7.0 is an integer in JSON."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _digits(text: object) -> object:
    """1_0, +10 and 10.0 are no team's id."""
    if not re.fullmatch("[0-9]+", str(text)):
        raise ValueError("not a whole number in digits")
    return text


TeamId = Annotated[
    int, Path(ge=0, le=MAX_TEAM_ID, description="The team's id in the events."), BeforeValidator(_digits)
]
TimeZone = Annotated[
    str, AfterValidator(_known_zone), Field(json_schema_extra={"enum": sorted(time_zones.names())})
]


def _known(moment: date | None) -> date | None:
    """ClickHouse's zero is no instant and no day."""
    return None if moment is None or moment.year == 1970 else moment


Instant = Annotated[datetime | None, BeforeValidator(_known)]
KnownDay = Annotated[date | None, BeforeValidator(_known)]
BackfillDays = Annotated[int, Field(ge=1, le=MAX_TEAM_BACKFILL_DAYS), BeforeValidator(_whole)]


class Team(BaseModel):
    """A registered team; the newest version of its row."""

    team_id: int = Field(ge=0)
    enabled: bool
    timezone: str = Field(description="IANA name of the zone that the team's days are counted in.")
    backfill_days: int = Field(
        description="Period of the team's first backfill, in local days; 0: WEB_ANALYTICS_BACKFILL_DAYS."
    )
    name: str = Field(description="What people call the team; empty where nobody gave a name.")
    mute_low_volume: bool = Field(
        description="Whether its days with few pageviews are left out of all verdicts."
    )
    changed_by: str = Field(description="Who made this version; empty where it was not this API.")
    changed_at: Instant = Field(description="None where the row does not say when it was written.")


class Teams(BaseModel):
    teams: list[Team]
    total_entries: int


class Day(BaseModel):
    """The states of one UTC day of a team: missing, inconsistent, stale, orphan, complete or idle."""

    partition_date: date
    stats: str
    bounces: str
    pageviews: int = Field(description="What the source holds.")


class Coverage(BaseModel):
    """The closed days of the lookback on which the team has events or rows."""

    date_start: date
    date_end: date = Field(description="The day after the last one.")
    complete_days: int
    incomplete_days: int
    days: list[Day] = Field(description="Newest first.")


class LastBackfill(BaseModel):
    """What became of the team's newest backfill by web_analytics_team_backfill."""

    state: str = Field(description="started, succeeded, failed, or left: it is not selected any more.")
    date_start: KnownDay = Field(description="None where the team's settings give no days.")
    date_end: KnownDay
    run_id: str
    reason: str = Field(description="Why it failed, or that the source has no events of the team.")
    changed_at: datetime


class TeamDetails(BaseModel):
    team_id: int
    selected: bool = Field(description="Whether the configured strategies and the rollout include it now.")
    registration: Team | None = Field(description="None where only another strategy gives the team.")
    coverage: Coverage
    last_backfill: LastBackfill | None


class TeamChange(BaseModel):
    """What is left out stays as it is; of a new team it gets the default."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool | None = None
    timezone: TimeZone | None = Field(None, description="IANA name, such as Europe/Berlin.")
    backfill_days: BackfillDays | None = Field(
        None, description="Local days of the first backfill: usually 7, 14 or 30."
    )
    name: str | None = Field(
        None,
        max_length=LONGEST_NAME,
        description="What people call the team; the coverage page finds it by it.",
    )
    mute_low_volume: bool | None = Field(
        None, description="true: days with few pageviews of this team are nowhere marked and told."
    )

    @model_validator(mode="before")
    @classmethod
    def _names_are_known(cls, sent: Any) -> Any:
        if isinstance(sent, dict) and sent.keys() - cls.model_fields.keys():
            accepted = ", ".join(cls.model_fields)
            raise PydanticCustomError(
                "unknown_field", "There is a field of another name; accepted: {names}", {"names": accepted}
            )
        return sent


class Started(BaseModel):
    """The run that takes the team, and everyone else who is waiting."""

    dag_run_id: str
    is_paused: bool = Field(description="Its DAG is paused: it starts when somebody unpauses it.")


class ChangedTeam(Team):
    selected: bool = Field(description="Whether the configured strategies and the rollout include it now.")
    backfill: Started | None = Field(description="None where nothing is to be backfilled.")
    remark: str = Field(
        description="Says if the source has no events of an enabled team, as of a mistyped id; else empty."
    )


@router.get("", dependencies=[Place, Depends(reader)])
@in_own_thread
def list_teams(
    clickhouse: ClickHouseDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
) -> Teams:
    """The registered teams, by id."""
    rows = clickhouse.query("teams/list_registered", {"limit": limit, "offset": offset})
    total = clickhouse.query("teams/count_registered")[0]["teams"]
    return Teams(teams=[Team(**row) for row in rows], total_entries=total)


@router.get(
    "/{team_id}",
    dependencies=[Place, Depends(reader)],
    responses={404: {"model": Problem, "description": "Neither registered nor selected."}},
)
@in_own_thread
def get_team(team_id: TeamId, clickhouse: ClickHouseDep, settings: SettingsDep) -> TeamDetails:
    """A team's settings, what is built of it, and its last backfill."""
    found = registry.read(clickhouse, team_id)
    selected = team_id in select_teams(clickhouse, settings).team_ids
    if found is None and not selected:
        raise HTTPException(404, f"Team {team_id} is not registered, and no selection strategy gives it.")
    backfills = clickhouse.query("teams/read_backfill", {"team_id": team_id})
    return TeamDetails(
        team_id=team_id,
        selected=selected,
        registration=_team(found) if found else None,
        coverage=_coverage(clickhouse, settings, team_id),
        last_backfill=LastBackfill(**backfills[0], changed_at=backfills[0]["version"]) if backfills else None,
    )


@router.put(
    "/{team_id}",
    dependencies=[Place, Depends(editor)],
    responses={400: {"model": Problem, "description": "The body is not JSON."}},
)
@in_own_thread
def put_team(
    team_id: TeamId,
    change: TeamChange,
    clickhouse: ClickHouseDep,
    settings: SettingsDep,
    region: RegionDep,
    user: CurrentUser,
) -> ChangedTeam:
    """Registers or changes a team. A team that is enabled and not yet backfilled is backfilled at once.

    Repeating a request changes nothing. There is no DELETE: disable the team; web_analytics_cleanup deletes its rows.
    """
    unregistered = Registration(team_id, False, "UTC", settings.backfill_days)
    after = registry.change(clickhouse, unregistered, change.model_dump(exclude_none=True), user.get_name())
    selected = _is_selected(clickhouse, settings, after)
    started = None
    if after.enabled and selected and not _is_backfilled(clickhouse, team_id):
        run = start_team_backfill(user.get_name(), region)
        started = run and Started(dag_run_id=run.run_id, is_paused=run.is_paused)
    # Only now: the scheduler is at work meanwhile.
    registry.publish(clickhouse)
    remark = remark_on(clickhouse, team_id) if after.enabled else ""
    return ChangedTeam(**_team(after).model_dump(), selected=selected, backfill=started, remark=remark)


def _team(registration: Registration) -> Team:
    return Team(**vars(registration))


def _is_selected(clickhouse: ClickHouseDep, settings: SettingsDep, registration: Registration) -> bool:
    """Asks the other strategies only where the registry does not settle it: they may take long."""
    if registration.enabled and "teams_table" in settings.team_selection_strategies:
        return is_rolled_out(registration.team_id, settings.rollout_percent)
    return registration.team_id in select_teams(clickhouse, settings).team_ids


def _is_backfilled(clickhouse: ClickHouseDep, team_id: int) -> bool:
    rows = clickhouse.query("teams/read_backfill", {"team_id": team_id})
    return bool(rows) and rows[0]["state"] == SUCCEEDED


def _coverage(clickhouse: ClickHouseDep, settings: SettingsDep, team_id: int) -> Coverage:
    now = datetime.now(UTC)
    days = closed_part(
        lookback(now.date(), settings.lookback_days), now, settings.settling, settings.partitions_start_date
    )
    coverage = coverage_query(clickhouse, settings, days)
    rows: list[dict[str, Any]] = clickhouse.query(
        "teams/list_days",
        coverage.parameters,
        coverage.names,
        external_tables=[teams_table([team_id])],
    )
    complete = sum(row["stats"] == row["bounces"] == "complete" for row in rows)
    return Coverage(
        date_start=days.start,
        date_end=days.end,
        complete_days=complete,
        incomplete_days=len(rows) - complete,
        days=[Day(**row) for row in rows],
    )
