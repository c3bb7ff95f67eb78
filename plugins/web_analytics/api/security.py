"""Who may use the API: Airflow's own logins and permissions, whichever auth manager it runs with.

Without a login every endpoint answers 401. ``reader``: whoever may see the runs of ``web_analytics_team_backfill``,
of a region's if it is about a region. ``editor``: whoever may start one, since that is what enabling a team does;
others get 403.
"""

from __future__ import annotations

from typing import Literal

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from airflow.models.dag import DagModel
from fastapi import HTTPException

from web_analytics.api.dependencies import RegionDep
from web_analytics.regions import suffix_of

DAG_ID = "web_analytics_team_backfill"

CurrentUser = GetUserDep


def may(user: CurrentUser, method: Literal["GET", "POST", "PUT"], dag_id: str) -> bool:
    """Whether a person may see (GET), start (POST) or end (PUT) runs of a DAG."""
    return get_auth_manager().is_authorized_dag(
        method=method,
        access_entity=DagAccessEntity.RUN,
        details=DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)),
        user=user,
    )


def reader(user: CurrentUser, region: RegionDep) -> None:
    _require(user, "GET", region)


def editor(user: CurrentUser, region: RegionDep) -> None:
    _require(user, "POST", region)


def _require(user: CurrentUser, method: Literal["GET", "POST"], region: str) -> None:
    if not may(user, method, DAG_ID + suffix_of(region)):
        raise HTTPException(403, "Forbidden")
