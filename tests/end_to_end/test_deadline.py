"""A run that is not done in time, under a real scheduler and triggerer: the message arrives in Slack."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from benchmarks.live_airflow import LiveAirflow, wait_for
from tests.reporting import receivers

pytestmark = pytest.mark.slow

BACKFILL = "web_analytics_backfill"


def test_a_run_that_is_late_is_a_message(clickhouse_server, tmp_path):
    with receivers.http_endpoint() as (url, received):
        environment = {
            "AIRFLOW_CONN_ONCALL_SLACK": json.dumps(
                {"conn_type": "slackwebhook", "host": f"{url}/services", "password": "T000/B000/secret"}
            ),
            "WEB_ANALYTICS_ALERT_SLACK_CONN_ID": "oncall_slack",
            "WEB_ANALYTICS_FRESHNESS_DEADLINE_MINUTES": "1",
        }
        with LiveAirflow(tmp_path, clickhouse_server.uri("default"), environment) as airflow:
            wait_for(lambda: BACKFILL in airflow.dags(), 60, "the DAG")
            # It stays queued: its DAG is paused.
            run = airflow.trigger(BACKFILL, {})
            queued_at = datetime.now(UTC)
            wait_for(lambda: received, 120, "the message")
            waited = datetime.now(UTC) - queued_at
            run_id = airflow.call("GET", run)["dag_run_id"]
    [arrived] = received
    text = json.loads(arrived["body"])["text"]
    print(f"Slack, as received after {waited.total_seconds():.1f} s:\n{text}")
    assert text.startswith(f"*{BACKFILL} is late*")
    assert "not done 1 min after it was queued, by " in text
    assert run_id.split("+")[0].split(":")[0] in text
    assert f"Since: {queued_at:%Y-%m-%d %H:}" in text
    assert waited.total_seconds() > 55
