"""Creates the pool when a scheduler starts: the only process of Airflow 3 that both needs it and may."""

from __future__ import annotations

from airflow.listeners import hookimpl

from web_analytics.pools import ensure_pool


@hookimpl
def on_starting(component) -> None:
    if type(component).__name__ == "SchedulerJobRunner":
        ensure_pool()
