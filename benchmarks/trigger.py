"""``make bench-trigger``: how soon what a person asks for begins, and is done.

From nothing: an embedded ClickHouse, a PostgreSQL with PostHog's table of teams, and an Airflow with the settings of
``make ui``; ``METADATA=postgres`` keeps Airflow's own metadata in that PostgreSQL too, else it is in SQLite. Each try
waits until the one before it has ended. Measured:

- from the PUT that enables a team, or the UPDATE in PostHog's database, to the first line that the first task logs;
- from the button on the coverage page for one missing date, to its green cells;
- from the PUT to the green cells of a team's first seven days.

Writes .bench/trigger.json.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import urllib.parse
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.insert(0, str(CHECKOUT / "plugins"))

DAG = "web_analytics_team_backfill"
FIRST_LINE = "Team backfill: looking for teams"
TRIES = 20
LONGEST_SECONDS = 300  # on a machine that others use too
WARM_UP = 4  # the first task of each worker process is slower
EVENTS = 100_000
STARTS = ("event", "run exists", "run begins", "task queued", "task begins", "first line")


def measure(airflow, enable: Callable[[int], None], team: int) -> dict[str, float]:
    """Seconds from enabling a team to each of :data:`STARTS` of the run that it started."""
    from benchmarks.button import rest

    before = airflow.runs(DAG).keys()
    started = datetime.now(UTC)
    enable(team)

    def first_line() -> tuple[str, datetime] | None:
        for run_id in airflow.runs(DAG).keys() - before:
            if line := airflow.line_of(DAG, run_id, "plan", FIRST_LINE):
                return run_id, line
        return None

    run_id, line = _wait(first_line, "the first line")
    _wait(lambda: airflow.is_idle(DAG), "the end of the run")
    path = f"/api/v2/dags/{DAG}/dagRuns/{urllib.parse.quote(run_id)}"
    run = airflow.call("GET", path)
    [plan] = [each for each in airflow.instances(path) if each["task_id"] == "plan"]
    events = airflow.call("GET", f"{path}/upstreamAssetEvents")["asset_events"]
    instants = {
        "event": min((_instant(each["timestamp"]) for each in events), default=None),
        "run exists": _instant(run["queued_at"]),
        "run begins": _instant(run["start_date"]),
        "task queued": _instant(plan["queued_when"]),
        "task begins": _instant(plan["start_date"]),
        "first line": line,
    }
    seconds = {name: (each - started).total_seconds() for name, each in instants.items() if each}
    print(f"team {team}:", *(f"{name} {each:.2f}" for name, each in seconds.items()), flush=True)
    rest()
    return seconds


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _wait(condition: Callable, what: str):
    from benchmarks.live_airflow import wait_for

    return wait_for(condition, LONGEST_SECONDS, what)


def summary(name: str, tries: Sequence[dict[str, float]], total: str) -> dict[str, Any]:
    """Median and worst of the whole, and the median of each part.

    :param total: the part that is the whole.
    """
    parts = defaultdict(list)
    for each in tries:
        for part, seconds in each.items():
            parts[part].append(seconds)
    whole = parts[total]
    return {
        f"{name}_median_s": round(statistics.median(whole), 3),
        f"{name}_worst_s": round(max(whole), 3),
        f"{name}_medians_of_parts_s": {part: round(statistics.median(parts[part]), 3) for part in parts},
        f"{name}_s": [round(seconds, 3) for seconds in whole],
    }


def _filled(measured: Iterable[Any], what: str) -> list[dict[str, float]]:
    filled = []
    for each in measured:
        filled.append(vars(each))
        print(f"{what}:", *(f"{name} {seconds:.2f}" for name, seconds in vars(each).items()), flush=True)
    return filled


def metadata_in(postgres: Any) -> dict[str, str]:
    """What an Airflow gets whose metadata are to be in a PostgreSQL server."""
    from tests.postgres import new_database

    database = new_database(postgres, "airflow")
    return {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (
            f"postgresql+psycopg2://postgres@/{database.name}?host={urllib.parse.quote(database.host, safe='')}"
        )
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=TRIES)
    parser.add_argument("--metadata", choices=("sqlite", "postgres"), default="sqlite")
    chosen = parser.parse_args(arguments)
    # Also when it is terminated it stops what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    from benchmarks import button
    from benchmarks.live_airflow import LiveAirflow
    from demo import sample_data
    from embedded_clickhouse.process import EmbeddedClickHouse
    from tests.postgres import new_database, running_server
    from web_analytics import schema
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.settings import Settings
    from web_analytics.teams import first_backfills
    from web_analytics.teams.first_backfills import NO_DATES, SUCCEEDED, TeamBackfill

    results: dict[str, Any] = {"metadata": chosen.metadata}
    with (
        tempfile.TemporaryDirectory(prefix="trigger-") as name,
        EmbeddedClickHouse(Path(name) / "clickhouse") as server,
        tempfile.TemporaryDirectory(prefix="postgres-") as data,
        running_server(Path(data)) as postgres,
    ):
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
        posthog = new_database(postgres, "posthog")
        home = Path(name) / "airflow"
        home.mkdir()
        environment = {
            "AIRFLOW_CONN_POSTHOG_DB": posthog.airflow_connection,
            "WEB_ANALYTICS_TEAM_SELECTION_STRATEGIES": "teams_table,project_settings",
            **(metadata_in(postgres) if chosen.metadata == "postgres" else {}),
        }
        with ClickHouse("clickhouse_default") as clickhouse:
            sample_data.create_source(clickhouse)
            schema.create_tables(clickhouse)
            schema.create_teams_dictionary(clickhouse)
            schema.create_source_view(clickhouse, Settings.load({}))
            with LiveAirflow(home, server.connection_uri, environment) as airflow:
                _wait(lambda: airflow.is_known(DAG) and airflow.is_known(button.BACKFILL), "the DAGs")
                _wait(lambda: airflow.runs(DAG) and airflow.is_idle(DAG), "the watch of PostgreSQL")

                def put(team: int) -> None:
                    airflow.call("PUT", f"/web-analytics/teams/{team}", {"enabled": True})

                for team in range(WARM_UP):
                    measure(airflow, put, 1_000_000 + team)
                puts = [measure(airflow, put, 2_000_000 + team) for team in range(chosen.tries)]
                results |= summary("put", puts, "first line")
                updates = [measure(airflow, posthog.switch, 3_000_000 + team) for team in range(chosen.tries)]
                results |= summary("postgres", updates, "first line")

                today = datetime.now(UTC).date()
                sample_data.load(clickhouse, today, events=EVENTS)
                registered = clickhouse.query("teams/list_registered", EVERYONE)
                enabled = {row["team_id"] for row in registered if row["enabled"]}
                # Not what is measured.
                first_backfills.record(
                    clickhouse,
                    [TeamBackfill(team, SUCCEEDED, NO_DATES, "", "", datetime.now(UTC)) for team in enabled],
                )
                airflow.unpause(button.BACKFILL)
                days = [today - timedelta(days=offset) for offset in range(2, chosen.tries + 3)]
                dates = (button.build_date(airflow, clickhouse, day) for day in days)
                results |= summary("date", _filled(dates, "one date")[1:], "total")
                newcomers = [
                    row["team_id"]
                    for row in clickhouse.query("demo/teams_on_day", {"day": days[0]})
                    if row["team_id"] not in enabled
                ]
                weeks = (button.enable_team(airflow, clickhouse, team) for team in newcomers)
                results |= summary("first_week", _filled(weeks, "first seven days"), "total")

    for key, value in results.items():
        print(f"{key}: {value}")
    output = CHECKOUT / ".bench" / "trigger.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(results, indent=2) + "\n")
    return 0


EVERYONE = {"limit": 1_000_000, "offset": 0}

if __name__ == "__main__":
    sys.exit(main())
