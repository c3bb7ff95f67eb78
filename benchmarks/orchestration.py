"""What Airflow's scheduler adds to the queries of one run of seven dates."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

DATES = 7
DAG = "web_analytics_backfill"


def seconds_covered(intervals: Iterable[tuple[float, float]]) -> float:
    """The length of the union of intervals, in their unit."""
    covered, end = 0.0, float("-inf")
    for started, ended in sorted(intervals):
        covered += max(0.0, ended - max(started, end))
        end = max(end, ended)
    return covered


def measure(folder: Path, server, events: int) -> dict[str, float]:
    """A run of seven dates under an Airflow with the settings of ``make ui``, after one that warms it up."""
    from benchmarks.live_airflow import LiveAirflow, wait_for
    from demo import sample_data
    from web_analytics import schema
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.settings import Settings

    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
    home = folder / "airflow"
    home.mkdir()
    with ClickHouse("clickhouse_default") as clickhouse:
        settings = Settings.load({})
        sample_data.create_source(clickhouse)
        schema.create_tables(clickhouse)
        schema.create_teams_dictionary(clickhouse)
        schema.create_source_view(clickhouse, settings)
        today = datetime.now().astimezone().date()
        sample_data.load(clickhouse, today, events=events)
        with LiveAirflow(home, server.connection_uri, {}) as airflow:
            wait_for(lambda: airflow.dags().keys() >= {DAG, "web_analytics_setup"}, 120, "the DAGs")
            airflow.unpause("web_analytics_setup")
            # The teams of the sample are enabled already: their first backfill is not what is measured.
            airflow.call("PATCH", "/api/v2/dags/web_analytics_team_backfill", {"is_paused": True})
            assert airflow.finish(airflow.trigger("web_analytics_setup", {})) == "success"
            airflow.unpause(DAG)
            newest = today - timedelta(days=3)
            one = {"date_start": str(newest), "date_end": str(newest + timedelta(days=1)), "rebuild": True}
            assert airflow.finish(airflow.trigger(DAG, one)) == "success"
            seven = {**one, "date_start": str(newest - timedelta(days=DATES)), "date_end": str(newest)}
            run = airflow.trigger(DAG, seven)
            assert airflow.finish(run, 600, pause=1) == "success"
            of_run = airflow.call("GET", run)
            instances = [each for each in airflow.instances(run) if each["state"] == "success"]
        clickhouse.run("benchmarks/flush_logs")
        queries = clickhouse.query("benchmarks/list_queries", {"run_id": of_run["dag_run_id"]})
    wall = (_instant(of_run["end_date"]) - _instant(of_run["start_date"])).total_seconds()
    querying = seconds_covered((each["started"], each["ended"]) for each in queries)
    return {
        "run_wall_s": wall,
        "run_querying_s": querying,
        "run_overhead_s": wall - querying,
        "run_task_instances": len(instances),
        "run_overhead_s_per_task_instance": (wall - querying) / len(instances),
    }


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
