"""Creates the pool when a scheduler or another long-running job of Airflow starts: tasks need it but may not."""

from __future__ import annotations

from airflow.listeners import hookimpl

from web_analytics.pools import ensure_pool


@hookimpl
def on_starting(component) -> None:
    # Task processes report their start too; only jobs have a metadata database. Which job it is, is not known yet.
    if type(component).__name__ == "Job":
        ensure_pool()
