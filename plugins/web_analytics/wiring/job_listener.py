"""What the package does when a scheduler or another long-running job of Airflow starts, and when a run ends there."""

from __future__ import annotations

import importlib

from airflow.listeners import hookimpl

from web_analytics.pools import ensure_pool
from web_analytics.reporting import failures

# What every task imports, for its DAG file and for itself: about 0.3 CPU seconds of each.
IMPORTED_BY_TASKS = (
    "web_analytics.wiring.approval",
    "web_analytics.wiring.build_group",
    "web_analytics.wiring.defaults",
    "web_analytics.wiring.params",
    "web_analytics.tasks.backfill",
    "web_analytics.tasks.team_backfill",
    "web_analytics.teams.strategies.teams_table",
    "airflow_clickhouse_plugin.hooks.clickhouse",
)


@hookimpl
def on_starting(component) -> None:
    """Creates the pool, which tasks need but may not create, and imports what they import: the processes that run
    tasks are forked from the scheduler's and find it there."""
    # Task processes report their start too; only jobs have a metadata database. Which job it is, is not known yet.
    if type(component).__name__ == "Job":
        ensure_pool()
        for module in IMPORTED_BY_TASKS:
            importlib.import_module(module)


@hookimpl
def on_dag_run_failed(dag_run, msg) -> None:
    """The run's note says why."""
    if _is_ours(dag_run):
        failures.write_note(dag_run)


@hookimpl
def on_dag_run_running(dag_run, msg) -> None:
    if _is_ours(dag_run):
        failures.forget_note(dag_run)


@hookimpl
def on_dag_run_success(dag_run, msg) -> None:
    """What a run that failed before said is over; what it left out on purpose is not."""
    if _is_ours(dag_run):
        failures.forget_note(dag_run)
        failures.write_remark(dag_run)


def _is_ours(dag_run) -> bool:
    return dag_run.dag_id.startswith("web_analytics_")
