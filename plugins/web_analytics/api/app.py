"""The package's REST API, which Airflow's API server mounts under ``URL_PREFIX``.

Imported by the API server only: importing it takes longer than a task's own work. Every endpoint depends on
``security.reader`` or ``security.editor``; a test fails for one that does not.
"""

from __future__ import annotations

import json
import logging

from airflow.exceptions import AirflowException
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from web_analytics.api import gap_reports, teams
from web_analytics.api.coverage import endpoints
from web_analytics.api.limits import RETRY_AFTER_SECONDS, Bounds
from web_analytics.api.problems import RESPONSES, public_text
from web_analytics.api.security import reader
from web_analytics.errors import BadSetting, QueryFailed, SchemaMismatch
from web_analytics.teams.registry import RegistryBusy
from web_analytics.teams.selection import TeamSelectionFailed

log = logging.getLogger(__name__)
URL_PREFIX = "/web-analytics"


app = FastAPI(
    title="Web analytics pre-aggregation",
    version="1",
    description="Which teams are pre-aggregated, and what is built of them.",
    responses=RESPONSES,
    # Their pages load scripts from elsewhere, and neither they nor the document would ask for a login.
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
)
app.add_middleware(Bounds)
app.include_router(teams.router)
app.include_router(gap_reports.router)
app.include_router(endpoints.router)


@app.get("/openapi.json", dependencies=[Depends(reader)], include_in_schema=False)
async def openapi_document(request: Request) -> JSONResponse:
    """What the API can do, as an OpenAPI document."""
    return JSONResponse({**app.openapi(), "servers": [{"url": request.scope.get("root_path", "")}]})


@app.exception_handler(QueryFailed)
@app.exception_handler(TeamSelectionFailed)
@app.exception_handler(SchemaMismatch)
@app.exception_handler(BadSetting)
@app.exception_handler(AirflowException)
async def unavailable(request: Request, error: Exception) -> JSONResponse:
    """ClickHouse, a selection strategy, a connection or a setting: nothing the request could do better."""
    log.warning("%s %s: %s", request.method, request.url.path, error)
    return JSONResponse({"detail": public_text(error)}, status_code=503)


@app.exception_handler(RegistryBusy)
async def busy(request: Request, error: RegistryBusy) -> JSONResponse:
    """Nothing is wrong: the same request is answered when the others are done."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return JSONResponse({"detail": str(error)}, status_code=503, headers=headers)


@app.exception_handler(RequestValidationError)
async def refused(request: Request, error: RequestValidationError) -> Response:
    """Says what is wrong without repeating what was sent, which may be no text (half a surrogate pair) or no number
    (NaN) that an answer could hold."""
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return JSONResponse({"detail": "The body is not JSON."}, status_code=400)
    detail = [{name: each[name] for name in ("type", "loc", "msg")} for each in error.errors()]
    return Response(json.dumps({"detail": detail}), 422, media_type="application/json")
