"""The report of a run of ``web_analytics_diagnostics``, made of its XCom: no ClickHouse is asked."""

from __future__ import annotations

import json
import secrets
from datetime import date, timedelta
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.xcom import XComModel
from fastapi import APIRouter, Depends, HTTPException, Path
from fastapi.responses import HTMLResponse

from web_analytics.api import gap_report
from web_analytics.api.security import reader
from web_analytics.reporting import links

DAG_ID, TASK_ID = "web_analytics_diagnostics", "show_data_gaps"

router = APIRouter(prefix="/gap-reports", tags=["diagnostics"])
xcom_reader = requires_access_dag("GET", DagAccessEntity.XCOM)  # of the DAG in the path


@router.get("/{dag_id}/{run_id:path}", dependencies=[Depends(reader), Depends(xcom_reader)])
def show_gap_report(
    dag_id: Annotated[str, Path(pattern=f"^{DAG_ID}(__[a-z0-9]+)?$")], run_id: str, session: SessionDep
) -> HTMLResponse:
    """The gap report of a run as a page."""
    query = XComModel.get_many(run_id=run_id, key="return_value", task_ids=TASK_ID, dag_ids=dag_id, limit=1)
    found = session.scalars(query).first()
    if found is None:
        raise HTTPException(404, f"Run {run_id} of {dag_id} has no gap report (yet).")
    report = XComModel.deserialize_value(found)

    def address_of(gap: dict[str, Any]) -> str:
        first, end = (date.fromisoformat(gap[name]) for name in ("date_start", "date_end"))
        days = (first, end - timedelta(days=1))
        return links.site() + links.page_of(dag_id, days=days, team_ids=[gap["team_id"]])

    nonce = secrets.token_urlsafe(16)
    return HTMLResponse(
        gap_report.render(
            json.loads(report) if isinstance(report, str) else report, run_id, nonce, address_of
        ),
        headers={
            "Content-Security-Policy": f"default-src 'none'; style-src 'nonce-{nonce}'; "
            f"script-src 'nonce-{nonce}'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'self'",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "private, no-store",
        },
    )
