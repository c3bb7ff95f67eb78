"""What the package does when a scheduler or another long-running job of Airflow starts."""

from __future__ import annotations

import importlib

from airflow.listeners import hookimpl

from web_analytics.pools import ensure_pool

# What every task imports: about 0.2 CPU seconds of each.
IMPORTED_BY_TASKS = ("web_analytics.tasks.backfill", "airflow_clickhouse_plugin.hooks.clickhouse")


@hookimpl
def on_starting(component) -> None:
    """Creates the pool, which tasks need but may not create, and imports what they import: the processes that run
    tasks are forked from the scheduler's and find it there."""
    # Task processes report their start too; only jobs have a metadata database. Which job it is, is not known yet.
    if type(component).__name__ == "Job":
        ensure_pool()
        for module in IMPORTED_BY_TASKS:
            importlib.import_module(module)
