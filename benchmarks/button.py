"""From a click on the coverage page to green cells, asked for as the page's scripts ask."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from benchmarks.live_airflow import AirflowApi, wait_for
from benchmarks.orchestration import seconds_covered

BACKFILL = "web_analytics_backfill"
FIRST_BACKFILL = "web_analytics_team_backfill"
COVERAGE = "/web-analytics/coverage"
# The pause of the page between two looks while a run is young (status.js).
PAGE_PAUSE_SECONDS = 0.5
TABLES = ("stats", "bounces")
LONGEST_SECONDS = 600


@dataclass(frozen=True)
class Filled:
    """What passed until the cells were green, in seconds.

    :ivar total: from the click until the page has the states of the cells.
    :ivar queries: while a query of the run went on, until its last date was published.
    :ivar airflow: all else until then.
    :ivar page: from then on: until the page looks again, and its own queries.
    """

    total: float
    queries: float
    airflow: float
    page: float


def build_date(airflow: AirflowApi, clickhouse, day: date) -> Filled:
    """Presses "Backfill these dates" for one date of all teams, and waits until nothing is missing there."""
    end = day + timedelta(days=1)
    conf = {
        "date_start": day.isoformat(),
        "date_end": end.isoformat(),
        "min_missing_partitions": 1,
        "kinds": ["missing", "inconsistent", "stale", "orphan"],
        "max_partitions": 1,
    }

    def click() -> str:
        airflow.call("GET", f"/api/v2/dags/{BACKFILL}")
        body = {"logical_date": None, "run_after": (now() - timedelta(seconds=1)).isoformat(), "conf": conf}
        return airflow.call("POST", f"/api/v2/dags/{BACKFILL}/dagRuns", body)["dag_run_id"]

    return _fill(airflow, clickhouse, BACKFILL, click, "")


def enable_team(airflow: AirflowApi, clickhouse, team_id: int) -> Filled:
    """Enables a team and waits until its first backfill has filled its days."""

    def click() -> str:
        answer = airflow.call("PUT", f"/web-analytics/teams/{team_id}", {"enabled": True})
        return answer["backfill"]["dag_run_id"]

    return _fill(airflow, clickhouse, FIRST_BACKFILL, click, f"?team_ids={team_id}")


def now() -> datetime:
    return datetime.now(UTC)


def _fill(airflow: AirflowApi, clickhouse, dag_id: str, click: Callable[[], str], view: str) -> Filled:
    clicked = now()
    run_id = click()
    run = f"/api/v2/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id)}"
    known: Any = None

    def is_green() -> bool:
        nonlocal known
        status = airflow.call("GET", f"{COVERAGE}/status")
        airflow.call("POST", "/api/v2/dags/~/dagRuns/list", {"dag_ids": [dag_id], "states": ["running"]})
        airflow.call("GET", run)
        build = next((each for each in status["builds"] if each["run_id"] == run_id), None)
        before, known = known, build and build["published"]
        if known == before or not build or set(known) != set(build["dates"]):
            return False
        return not _missing(airflow.call("GET", f"{COVERAGE}/data{view}"), build["dates"])

    wait_for(is_green, LONGEST_SECONDS, f"green cells by {run_id}", PAGE_PAUSE_SECONDS)
    green = now()
    airflow.finish(run, LONGEST_SECONDS)
    clickhouse.run("benchmarks/flush_logs")
    published = clickhouse.query(
        "api/list_builds", {"since": clicked - timedelta(minutes=1), "row_limit": 1}
    )[0]["last_published_at"].replace(tzinfo=UTC)
    queries = clickhouse.query("benchmarks/list_queries", {"run_id": run_id})
    until = published.timestamp()
    querying = seconds_covered(
        (each["started"], min(each["ended"], until)) for each in queries if each["started"] < until
    )
    total = (green - clicked).total_seconds()
    page = (green - published).total_seconds()
    return Filled(total, querying, total - querying - page, page)


def _missing(data: Mapping[str, Any], days: Collection[str]) -> list[tuple[str, str]]:
    """Teams and days of a page of coverage that lack rows."""
    first = date.fromisoformat(data["date_start"])
    columns = [(date.fromisoformat(day) - first).days for day in days]
    return [
        (team["team_id"], table)
        for team in data["teams"]
        for table in TABLES
        for column in columns
        if team["states"][table][column] == "m"
    ]


def rest() -> None:
    """As idle as between two clicks."""
    time.sleep(0.5)
