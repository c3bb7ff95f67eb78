"""Starts web_analytics_team_backfill from Airflow's API server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagNotFound
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import select

from web_analytics.api.security import DAG_ID
from web_analytics.regions import suffix_of

# On SQLite the scheduler compares a run's instant, a text with microseconds, with a clock that tells whole seconds: a
# run of this instant would wait for the next second.
ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class StartedRun:
    """A run that will look for waiting teams.

    :ivar is_paused: nothing happens until the DAG is unpaused.
    """

    run_id: str
    is_paused: bool


def start_team_backfill(user: str, region: str) -> StartedRun | None:
    """Starts a run for whoever is waiting in a region, unless one is queued already: it has yet to look.

    :returns: None where Airflow does not know the DAG; the next run of the detector finds the team.
    """
    dag_id = DAG_ID + suffix_of(region)
    with create_session() as session:
        dag = session.get(DagModel, dag_id)
        if dag is None:
            return None
        queued = session.scalars(
            select(DagRun).where(DagRun.dag_id == dag_id, DagRun.state == DagRunState.QUEUED)
        )
        for run in queued:
            if not run.conf:
                return StartedRun(run.run_id, dag.is_paused)
        try:
            run = trigger_dag(
                dag_id,
                triggered_by=DagRunTriggeredByType.REST_API,
                triggering_user_name=user,
                run_after=datetime.now(UTC) - ONE_SECOND,
                conf={},
                session=session,
            )
        except DagNotFound:
            return None
        return StartedRun(run.run_id, dag.is_paused)
