"""The tables as OpenLineage datasets, where its provider is installed: a real run, events written to a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT

pytestmark = pytest.mark.slow
pytest.importorskip(
    "airflow.providers.openlineage", reason="apache-airflow-providers-openlineage is not installed"
)


def test_a_published_date_has_the_tables_as_datasets(source, clickhouse_server, days, tmp_path):
    source.enable(1)
    source.visits([1], days(3), per_day=1)
    events = tmp_path / "events.jsonl"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "home"),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__EXTRACTORS": "web_analytics.wiring.openlineage.TableExtractor",
    }
    for command in ("db migrate", "dags test web_analytics_backfill"):
        subprocess.run(
            [sys.executable, "-m", "airflow", *command.split()],
            env=environment,
            cwd=CHECKOUT,
            check=True,
            timeout=180,
        )
    written = [json.loads(line) for line in events.read_text().splitlines()]
    published = [
        event
        for event in written
        if event["job"]["name"] == "web_analytics_backfill.build_date.publish"
        and event["eventType"] == "COMPLETE"
    ]
    assert len(published) == 3
    host = f"clickhouse://{clickhouse_server.host}:{clickhouse_server.port}"
    database = source.clickhouse.query("schema/current_database")[0]["database"]
    for event in published:
        assert [(each["namespace"], each["name"]) for each in event["inputs"]] == [
            (host, f"{database}.web_analytics_source_events")
        ]
        assert [(each["namespace"], each["name"]) for each in event["outputs"]] == [
            (host, f"{database}.web_pre_aggregated_stats"),
            (host, f"{database}.web_pre_aggregated_bounces"),
        ]
