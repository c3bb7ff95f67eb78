"""Hostile conf at every DAG: refused with a sentence that names the field, and nothing in ClickHouse changes."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import ParamValidationError

from tests.support import fingerprint

RANGE = {"date_start": "2026-01-01", "date_end": "2026-01-03"}
HOSTILE = [
    ("web_analytics_backfill", {"days_back": -1}, "days_back"),
    ("web_analytics_backfill", {"days_back": "7; DROP TABLE events"}, "days_back"),
    ("web_analytics_backfill", {"days_back": True}, "days_back"),
    ("web_analytics_backfill", {"max_partitions": 10**30}, "max_partitions"),
    ("web_analytics_backfill", {"date_start": "2026-02-30", "date_end": "2026-03-02"}, "date_start"),
    ("web_analytics_backfill", {"date_start": "2026-01-03", "date_end": "2026-01-01"}, "date_end"),
    ("web_analytics_backfill", {"date_start": "2026-01-03"}, "date_end"),
    ("web_analytics_backfill", {"team_ids": ["1) OR (1=1"]}, "team_ids"),
    ("web_analytics_backfill", {"team_ids": [987654321]}, "team_ids"),
    ("web_analytics_backfill", {"team_ids": [2]}, "team_ids"),
    ("web_analytics_backfill", {"kinds": ["🦆"]}, "kinds"),
    ("web_analytics_backfill", {"rebuild": True}, "rebuild"),
    ("web_analytics_backfill", {"dry_run": "no"}, "dry_run"),
    ("web_analytics_backfill", {"team_id": 1}, "team_id"),
    ("web_analytics_validate", {**RANGE, "team_id": -5}, "team_id"),
    ("web_analytics_validate", {"date_start": "2026-01-01", "date_end": "2026-03-01"}, "date_end"),
    ("web_analytics_validate", {**RANGE, "teamid": 1}, "teamid"),
    ("web_analytics_validate", {"date_start": "'; SELECT 1", "date_end": "2026-01-02"}, "date_start"),
    ("web_analytics_cleanup", {**RANGE}, "team_id"),
    ("web_analytics_cleanup", {"team_id": 1}, "date_start"),
    ("web_analytics_cleanup", {**RANGE, "team_id": "1"}, "team_id"),
    ("web_analytics_cleanup", {**RANGE, "team_id": 1, "disable_team": "yes"}, "disable_team"),
    ("web_analytics_cleanup", {**RANGE, "team_id": 1, "dry_run": 0}, "dry_run"),
    ("web_analytics_diagnostics", {"days_back": 366}, "days_back"),
    ("web_analytics_diagnostics", {"team_ids": ["1 OR 1"]}, "team_ids"),
    ("web_analytics_diagnostics", {"team_ids": [2]}, "team_ids"),
    ("web_analytics_diagnostics", {"days": 7}, "days"),
]


@pytest.mark.parametrize(("dag_id", "conf", "field"), HOSTILE)
def test_it_is_refused_and_changes_nothing(source, run_dag, days, dag_id, conf, field, caplog, capsys):
    source.enable(1)
    source.enable(2, enabled=False)
    source.visits([1, 2], days(2))
    before = fingerprint(source.clickhouse)
    said = ""
    try:
        assert run_dag(dag_id, conf).state == "failed"
    except ParamValidationError as refused:
        said = str(refused)
    assert f"{field} is " in caplog.text + capsys.readouterr().out or f"param {field}" in said
    assert fingerprint(source.clickhouse) == before
