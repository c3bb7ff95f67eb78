"""``make bench-trigger``: how soon a team's first backfill begins after the team was enabled.

From nothing: an embedded ClickHouse, a PostgreSQL with PostHog's table of teams, and an Airflow with the settings of
``make ui``. Each try waits until the one before it has ended. Counted from the moment the PUT is sent, or the UPDATE
is about to commit, to the first line that the first task logs. Writes .bench/trigger.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.insert(0, str(CHECKOUT / "plugins"))

DAG = "web_analytics_team_backfill"
FIRST_LINE = "Team backfill: looking for teams"
TRIES = 20


def measure(airflow, enable: Callable[[int], None], team: int) -> float:
    """Seconds from enabling a team to the first line of the run that it started."""
    before = airflow.runs(DAG).keys()
    started = datetime.now(UTC)
    enable(team)

    def first_line() -> datetime | None:
        for run_id in airflow.runs(DAG).keys() - before:
            if line := airflow.line_of(DAG, run_id, "plan", FIRST_LINE):
                return line
        return None

    seconds = (_wait(first_line, "the first line") - started).total_seconds()
    print(f"team {team}: {seconds:.3f} s", flush=True)
    _wait(lambda: airflow.is_idle(DAG), "the end of the run")
    time.sleep(0.5)  # as idle as between two teams
    return seconds


def _wait(condition: Callable, what: str):
    from benchmarks.live_airflow import wait_for

    return wait_for(condition, 60, what)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=TRIES)
    tries = parser.parse_args(arguments).tries
    # Also when it is terminated it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    from benchmarks.live_airflow import LiveAirflow
    from demo import sample_data
    from embedded_clickhouse.process import EmbeddedClickHouse
    from tests.postgres import new_database, running_server
    from web_analytics import schema
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.settings import Settings

    with (
        tempfile.TemporaryDirectory(prefix="trigger-") as name,
        EmbeddedClickHouse(Path(name) / "clickhouse") as server,
        tempfile.TemporaryDirectory(prefix="postgres-") as data,
        running_server(Path(data)) as postgres,
    ):
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
        with ClickHouse("clickhouse_default") as clickhouse:
            sample_data.create_source(clickhouse)
            schema.create_tables(clickhouse)
            schema.create_teams_dictionary(clickhouse)
            schema.create_source_view(clickhouse, Settings.load({}))
        posthog = new_database(postgres, "posthog")
        home = Path(name) / "airflow"
        home.mkdir()
        environment = {
            "AIRFLOW_CONN_POSTHOG_DB": posthog.airflow_connection,
            "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table,project_settings",
        }
        with LiveAirflow(home, server.connection_uri, environment) as airflow:
            _wait(lambda: airflow.is_known(DAG), "the DAG")
            _wait(lambda: airflow.runs(DAG) and airflow.is_idle(DAG), "the watch of PostgreSQL")

            def put(team: int) -> None:
                airflow.call("PUT", f"/web-analytics/teams/{team}", {"enabled": True})

            for team in range(4):  # the first task of each worker process is slower
                measure(airflow, put, 1_000_000 + team)
            puts = [measure(airflow, put, team) for team in range(1, tries + 1)]
            updates = [measure(airflow, posthog.switch, team) for team in range(1001, 1001 + tries)]

    results = {
        "put_median_s": round(statistics.median(puts), 3),
        "put_worst_s": round(max(puts), 3),
        "postgres_median_s": round(statistics.median(updates), 3),
        "postgres_worst_s": round(max(updates), 3),
        "put_s": [round(each, 3) for each in puts],
        "postgres_s": [round(each, 3) for each in updates],
    }
    for key, value in results.items():
        print(f"{key}: {value}")
    output = CHECKOUT / ".bench" / "trigger.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
