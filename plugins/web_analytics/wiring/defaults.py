"""What every task of this package has from the first day: an owner, retries and a limit."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from web_analytics.airflow_version import HAS_RETRY_POLICIES
from web_analytics.reporting import alerts, failures, posthog_capture, step_log
from web_analytics.settings import Settings

TAGS = ["web_analytics"]


def _retry_policy() -> dict[str, Any]:
    if not HAS_RETRY_POLICIES:
        return {}
    from web_analytics.wiring.retries import ClickHouseRetryPolicy

    return {"retry_policy": ClickHouseRetryPolicy()}


DEFAULT_ARGS = {
    "owner": "web-analytics",
    "retries": 3,
    **_retry_policy(),
    # Where no policy is asked, as after a worker was killed.
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=1),
    **({"queue": queue} if (queue := Settings.peek("queue")) else {}),
    # Lists: a task of its own may add to them.
    "on_execute_callback": [failures.log_expected_without_stack],
    "on_success_callback": [step_log.log_success],
    "on_failure_callback": [step_log.log_failure],
    "on_retry_callback": [step_log.log_retry],
    "on_skipped_callback": [step_log.log_skip],
}

# For the one task that sums up a run, so that people get one message per run.
TELLS_PEOPLE = {"on_failure_callback": [*DEFAULT_ARGS["on_failure_callback"], alerts.run_failed]}
# And for the one that sums up a backfill.
FINISHES_BACKFILL = {
    "on_failure_callback": [*TELLS_PEOPLE["on_failure_callback"], posthog_capture.backfill_failed],
    "on_success_callback": [*DEFAULT_ARGS["on_success_callback"], posthog_capture.backfill_succeeded],
}
