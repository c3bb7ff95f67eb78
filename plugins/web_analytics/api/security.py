"""Who may use the API: Airflow's own logins and permissions, whichever auth manager it runs with.

Without a login every endpoint answers 401. ``reader``: whoever may see the runs of ``web_analytics_team_backfill``.
``editor``: whoever may start one, since that is what enabling a team does; others get 403.
"""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag

DAG_ID = "web_analytics_team_backfill"

reader = requires_access_dag("GET", DagAccessEntity.RUN, DAG_ID)
editor = requires_access_dag("POST", DagAccessEntity.RUN, DAG_ID)

CurrentUser = GetUserDep
