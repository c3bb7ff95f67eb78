"""The coverage page: its files, and what it reads. It changes nothing: its buttons start DAG runs through Airflow's
public API in the name of the person who is logged in."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import FileResponse, JSONResponse, Response

from web_analytics.api.coverage import content, progress, ranking
from web_analytics.api.dependencies import ClickHouseDep, RegionDep, SettingsDep
from web_analytics.api.limits import Place, in_own_thread
from web_analytics.api.problems import Problem
from web_analytics.api.security import CurrentUser, may, reader
from web_analytics.api.teams import LONGEST_NAME
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import BadSetting
from web_analytics.regions import region_names, suffix_of
from web_analytics.teams import names

log = logging.getLogger(__name__)
router = APIRouter(prefix="/coverage", tags=["coverage"])

STATIC = Path(__file__).resolve().parent / "static"
PREPARE_SECONDS = 600
# The DAGs that the page has a button for.
STARTABLE = ("web_analytics_backfill", "web_analytics_validate")
# Those that build dates.
BUILDERS = ("web_analytics_backfill", "web_analytics_team_backfill")
NOT_ACCEPTABLE = {400: {"model": Problem, "description": "A value is not acceptable; the sentence names it."}}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # Asked again each time, so that an upgrade shows; unchanged files are not sent again.
    "Cache-Control": "no-cache",
}


@cache
def _static_files() -> frozenset[str]:
    return frozenset(path.name for path in STATIC.iterdir())


def _answer(body: Any, clickhouse: ClickHouse) -> JSONResponse:
    """The body as JSON, with what ClickHouse spent on it where the browser's developer tools show it."""
    spent = 1000 * sum(each.seconds for each in clickhouse.statistics)
    rows = sum(each.rows_read for each in clickhouse.statistics)
    return JSONResponse(
        body,
        headers={
            "Server-Timing": f'clickhouse;dur={spent:.0f};desc="{len(clickhouse.statistics)} queries, {rows} rows read"',
        },
    )


@router.get("", dependencies=[Depends(reader)], include_in_schema=False)
def page() -> Response:
    """The page, which Airflow shows in a frame."""
    return FileResponse(STATIC / "index.html", headers=HEADERS)


@router.get("/static/{name}", dependencies=[Depends(reader)], include_in_schema=False)
def static_file(name: str) -> Response:
    """A script, style sheet or picture of the page."""
    if name not in _static_files():
        raise HTTPException(404, "There is no such file.")
    return FileResponse(STATIC / name, headers=HEADERS)


@router.get("/data", dependencies=[Place, Depends(reader)], responses=NOT_ACCEPTABLE)
@in_own_thread
def data(
    clickhouse: ClickHouseDep,
    settings: SettingsDep,
    region: RegionDep,
    days: int | None = None,
    date_start: date | None = None,
    date_end: date | None = None,
    team_ids: Annotated[str, Query(max_length=20_000)] = "",
    team_name: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
    all_teams: bool = False,
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
    page_size: Annotated[int, Query(ge=1, le=max(content.PAGE_SIZES))] = content.PAGE_SIZES[0],
    dag_id: Annotated[str, Query(max_length=250)] = "",
    run_id: Annotated[str, Query(max_length=250)] = "",
    only_gaps: bool = False,
    sort: Literal[ranking.ORDERS] = ranking.WORST_FIRST,
    rows: Annotated[str, Query(max_length=2_100)] = "",
) -> Response:
    """One page of teams with the state of every day in both tables, the worst teams first.

    ``team_name``: only teams whose name contains it, beside those of ``team_ids``. ``sort``: the teams with the most gaps first, those with the oldest gap first, or by id. ``rows`` names the teams of
    the page and their order instead. With ``dag_id`` and ``run_id`` the range contains the dates of that run.
    """
    now = datetime.now(UTC)
    run = None
    try:
        filtered = content.parse_team_ids(team_ids) or None
        if team_name:
            found = names.find(clickhouse, settings, team_name)
            filtered = tuple(sorted({*(filtered or ()), *found}))
        kept_rows = content.parse_rows(rows)
        shown = content.range_to_show(now, settings, days, date_start, date_end)
    except BadSetting as error:
        raise HTTPException(400, str(error)) from error
    if dag_id and run_id:
        dates = content.dates_of_run(clickhouse, dag_id, run_id)
        run = {"dag_id": dag_id, "run_id": run_id, "dates": [day.isoformat() for day in dates]}
        if days is None and date_start is None:
            shown = content.range_around(dates, now, settings)
    view = content.View(shown, filtered, all_teams, page, page_size, only_gaps, sort, kept_rows)
    answer = content.read_page(clickhouse, settings, view, now)
    answer |= {
        "today": now.date().isoformat(),
        "filtered": None if filtered is None else [str(team_id) for team_id in filtered],
        "team_name": team_name,
        "all_teams": all_teams,
        "only_gaps": only_gaps,
        "sort": sort,
        "run": run,
        "region": region,
        "regions": region_names(),
    }
    return _answer(answer, clickhouse)


@router.get("/cells/{team_id}/{day}", dependencies=[Place, Depends(reader)], responses=NOT_ACCEPTABLE)
@in_own_thread
def cell(clickhouse: ClickHouseDep, settings: SettingsDep, team_id: str, day: date) -> Response:
    """The numbers of one team's day."""
    try:
        [parsed] = content.parse_team_ids(team_id) or [None]
        content.range_to_show(datetime.now(UTC), settings, None, day, day + content.ONE_DAY)
    except (BadSetting, ValueError, OverflowError) as error:
        raise HTTPException(400, f"{team_id!r} and {day} are not a team and a day.") from error
    return _answer(content.read_cell(clickhouse, settings, parsed, day, datetime.now(UTC)), clickhouse)


@router.get("/decisions", dependencies=[Place, Depends(reader)])
@in_own_thread
def decisions(clickhouse: ClickHouseDep) -> Response:
    """The newest decisions with their reasons, skips too."""
    return _answer({"decisions": content.read_decisions(clickhouse)}, clickhouse)


@router.get("/status", dependencies=[Place, Depends(reader)])
@in_own_thread
def status(clickhouse: ClickHouseDep, settings: SettingsDep, region: RegionDep) -> Response:
    """What goes on: the newest decisions, the health verdict, and how far each backfill has come. Asked again and again."""
    now = datetime.now(UTC)
    return _answer(progress.read_status(clickhouse, settings, suffix_of(region), now), clickhouse)


@router.get("/estimate", dependencies=[Place, Depends(reader)], responses=NOT_ACCEPTABLE)
@in_own_thread
def estimate(
    clickhouse: ClickHouseDep,
    settings: SettingsDep,
    date_start: date,
    date_end: date,
    team_ids: Annotated[str, Query(max_length=20_000)] = "",
) -> Response:
    """What building these dates would read, and how long it would take going by the newest runs."""
    now = datetime.now(UTC)
    try:
        dates = content.range_to_show(now, settings, None, date_start, date_end)
        teams = content.parse_team_ids(team_ids)
    except BadSetting as error:
        raise HTTPException(400, str(error)) from error
    return _answer(progress.estimate(clickhouse, settings, dates, teams, now), clickhouse)


@router.get("/actions", dependencies=[Depends(reader)])
def actions(user: CurrentUser, region: RegionDep) -> dict[str, list[str]]:
    """The DAGs that the reader may start, and those whose runs they may end: what the page has buttons for. Airflow
    asks again when one is started or ended."""
    dag_ids = [dag_id + suffix_of(region) for dag_id in STARTABLE]
    builders = [dag_id + suffix_of(region) for dag_id in BUILDERS]
    return {
        "startable": [dag_id for dag_id in dag_ids if may(user, "POST", dag_id)],
        "cancellable": [dag_id for dag_id in builders if may(user, "PUT", dag_id)],
    }
