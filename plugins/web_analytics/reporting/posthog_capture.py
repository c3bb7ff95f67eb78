"""Optional: each finished backfill as an event in PostHog itself. Its library is imported only where this is on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

EVENT = "web_analytics_backfill_finished"


def backfill_succeeded(context: Mapping[str, Any]) -> None:
    _capture(context, "succeeded")


def backfill_failed(context: Mapping[str, Any]) -> None:
    _capture(context, "failed")


def _capture(context: Mapping[str, Any], status: str) -> None:
    """Success and failure callback of the task that sums a backfill up; a failed capture is an error in its log."""
    from web_analytics.settings import Settings

    settings = Settings.load()
    if not settings.posthog_conn_id:
        return
    from airflow.sdk import BaseHook
    from posthog import Posthog

    connection = BaseHook.get_connection(settings.posthog_conn_id)
    ti, error = context["ti"], context.get("exception")
    decided = ti.xcom_pull(task_ids="decide", key="decision") or {}
    names = ("backfill", "reason", "dates", "dates_left", "missing_partitions", "teams", "dry_run")
    posthog = Posthog(connection.password, host=connection.host, sync_mode=True)
    posthog.capture(
        EVENT,
        distinct_id=ti.dag_id,
        properties={
            "status": status,
            "dag_id": ti.dag_id,
            "run_id": ti.run_id,
            "error": str(error) if status == "failed" else None,
            **{name: decided.get(name) for name in names},
            "$process_person_profile": False,
        },
    )
    posthog.shutdown()
    log.info("Captured %s in PostHog.", EVENT)
