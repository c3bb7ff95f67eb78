"""Helpers of the tests: events written by hand, the answer counted by the oracle, DAGs run in this process."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import hypothesis

from web_analytics.airflow_version import HAS_RETRY_POLICIES
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.detection.coverage import coverage_query
from web_analytics.detection.detector import DetectionScope, count_gaps
from web_analytics.errors import BadSetting
from web_analytics.rules.decision import GapCount
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.rules.states import GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tables import TABLES

MEASURES = {
    "stats": ("pageviews", "session_estimate"),
    "bounces": ("pageviews", "session_estimate", "sessions", "bounces", "duration"),
}


def examples(count: int, thorough: int = 0) -> hypothesis.settings:
    """So many examples of a property, the same ones on every machine and however slow it is.

    :param thorough: so many where THOROUGH is set, as `make test-slow` does for the tests with that mark.
    """
    if thorough and os.environ.get("THOROUGH"):
        count = thorough
    return hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[
            hypothesis.HealthCheck.function_scoped_fixture,
            hypothesis.HealthCheck.too_slow,
            hypothesis.HealthCheck.data_too_large,
        ],
    )


def refusal(parse: Callable[[], Any]) -> BadSetting | None:
    """How a value is refused; None if it is taken. Any other error is let through."""
    try:
        parse()
    except BadSetting as refused:
        return refused
    return None


def set_up(
    clickhouse: ClickHouse, settings: Settings | None = None, user: str = "", password: str = ""
) -> None:
    """An empty PostHog-shaped source, and everything that the setup creates.

    :param user: what the dictionary signs in with.
    """
    from demo import sample_data
    from web_analytics import schema

    settings = settings or Settings.load({})
    sample_data.create_source(clickhouse)
    schema.create_tables(clickhouse)
    schema.create_teams_dictionary(clickhouse, user, password)
    schema.create_source_view(clickhouse, settings)
    schema.create_freshness_view(clickhouse, settings)


def open_client(server, **changes: Any):
    """A client of a server of the fixtures, which is no connection of the package; over HTTP where the server's address
    says so.

    :param changes: ``user``, ``password``, ``database`` and the like instead of the server's.
    """
    from clickhouse_driver import Client

    from web_analytics.clickhouse.http import HttpClient

    given = {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": server.password,
        **changes,
    }
    if not getattr(server, "speaks_http", False):
        return Client(**given)
    return HttpClient(
        interface="http", username=given.pop("user"), database=given.pop("database", "default"), **given
    )


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def at(day: date, hour: float = 12.0) -> datetime:
    return datetime.combine(day, datetime.min.time(), tzinfo=UTC) + timedelta(hours=hour)


def session_id(born: datetime, version: int = 7) -> str:
    """A UUIDv7 whose first 48 bits are the session's start."""
    milliseconds = int(born.timestamp() * 1000)
    number = (milliseconds << 80) | (version << 76) | (random.getrandbits(12) << 64) | (0b10 << 62)
    return str(uuid.UUID(int=number | random.getrandbits(62)))


class Source:
    """The PostHog-shaped source of a test."""

    def __init__(self, clickhouse: ClickHouse):
        self.clickhouse = clickhouse

    def enable(self, *team_ids: int, enabled: bool = True) -> None:
        self.clickhouse.client.execute(
            "INSERT INTO web_pre_aggregated_teams (team_id, enabled) VALUES",
            [(team_id, enabled) for team_id in team_ids],
        )

    def event(
        self,
        team_id: int,
        timestamp: datetime,
        session: str | None = None,
        *,
        event: str = "$pageview",
        pathname: str = "/",
        ingested: datetime | None = None,
        event_uuid: uuid.UUID | None = None,
        distinct_id: str = "",
        **properties: Any,
    ) -> uuid.UUID:
        """Adds one event; without a session it gets one of its own that starts with it."""
        identity = event_uuid or uuid.UUID(int=random.getrandbits(128))
        self.clickhouse.client.execute(
            "INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, "
            "`$session_id`, _timestamp, inserted_at) VALUES",
            [
                (
                    identity,
                    event,
                    json.dumps({"$pathname": pathname, "$host": "example.com", **properties}),
                    timestamp,
                    team_id,
                    distinct_id or f"visitor-{team_id}",
                    uuid.UUID(int=team_id),
                    session_id(timestamp) if session is None else session,
                    (ingested or timestamp).replace(microsecond=0),
                    ingested or timestamp,
                )
            ],
        )
        return identity

    def visits(self, team_ids: list[int], days: list[date], per_day: int = 3) -> None:
        """A few sessions of two pageviews for each team and day."""
        rows = []
        for team_id in team_ids:
            for day in days:
                for number in range(per_day):
                    start = at(day, 1 + number * 2 + (team_id % 7) / 10)
                    session = session_id(start)
                    for step in range(2):
                        moment = start + timedelta(seconds=30 * step)
                        rows.append(
                            (
                                uuid.UUID(int=random.getrandbits(128)),
                                "$pageview",
                                json.dumps({"$pathname": f"/{step}", "$host": "example.com"}),
                                moment,
                                team_id,
                                f"visitor-{number}",
                                uuid.UUID(int=number + 1),
                                session,
                                moment.replace(microsecond=0),
                                moment,
                            )
                        )
        self.clickhouse.client.execute(
            "INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, person_id, "
            "`$session_id`, _timestamp, inserted_at) VALUES",
            rows,
        )


def differences_from_oracle(
    clickhouse: ClickHouse, days: list[date], team_ids: list[int], bucket_minutes: int = 60
) -> list[tuple]:
    """(team, day, table, measure, expected, found) wherever the tables and the raw events disagree."""
    parameters = {
        "date_start": min(days),
        "date_end": max(days) + ONE_DAY,
        "team_ids": team_ids,
        "bucket_minutes": bucket_minutes,
    }
    expected = {
        (row["team_id"], row["day"]): row for row in clickhouse.query("validation/oracle_posthog", parameters)
    }
    different = []
    for table in TABLES:
        found = {
            (row["team_id"], row["day"]): row
            for row in clickhouse.query(f"validation/oracle_stored_{table.short_name}", parameters)
        }
        for key in sorted(expected.keys() | found.keys()):
            if key[1] not in days:
                continue
            for measure in MEASURES[table.short_name]:
                wanted = expected.get(key, {}).get(measure, 0)
                stored = found.get(key, {}).get(measure, 0)
                if wanted != stored:
                    different.append((*key, table.short_name, measure, wanted, stored))
    return different


def states(
    clickhouse: ClickHouse, settings: Settings, days: list[date], team_ids: list[int]
) -> dict[tuple[int, date], tuple[str, str]]:
    """The state in (stats, bounces) of each team and day that the detection knows anything of."""
    coverage = coverage_query(clickhouse, settings, DateRange(min(days), max(days) + ONE_DAY))
    rows = clickhouse.query(
        "detection/coverage",
        coverage.parameters,
        coverage.names,
        external_tables=[teams_table(team_ids)],
    )
    return {
        (row["team_id"], row["partition_date"]): (row["stats_state"], row["bounces_state"]) for row in rows
    }


def found_gaps(
    clickhouse: ClickHouse,
    settings: Settings,
    days: list[date],
    team_ids: list[int],
    kinds: tuple[str, ...] = GAP_KINDS,
) -> list[GapCount]:
    """What a run over these days would detect."""
    scope = DetectionScope(DateRange(min(days), max(days) + ONE_DAY), kinds, nightly=False)
    return count_gaps(clickhouse, settings, scope, team_ids)


def fingerprint(clickhouse: ClickHouse) -> dict[str, Any]:
    """What every table of the database holds, to show that something changed nothing."""
    tables = clickhouse.client.execute(
        "SELECT name, engine FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    prints = {}
    for name, engine in tables:
        if engine in ("View", "Dictionary"):
            prints[name] = engine
        else:
            # A merge in the background that drops replaced rows changes nothing.
            final = "FINAL" if engine == "ReplacingMergeTree" else ""
            prints[name] = clickhouse.client.execute(
                f"SELECT count(), groupBitXor(sipHash64(*)) FROM `{name}` {final}"
            )
    return prints


def merged_totals(clickhouse: ClickHouse) -> list[tuple]:
    """Merged pageviews and sessions of both tables per team and day: what dashboards would show."""
    return [
        clickhouse.client.execute(
            "SELECT team_id, toDate(period_bucket), sumMerge(pageviews_count_state), "
            f"uniqMerge(sessions_uniq_state) FROM {table.name} GROUP BY 1, 2 ORDER BY 1, 2"
        )
        for table in TABLES
    ]


def leftovers(clickhouse: ClickHouse) -> list[str]:
    """Per-run tables and locks that are still there."""
    return [
        name
        for (name,) in clickhouse.client.execute(
            "SELECT name FROM system.tables WHERE database = currentDatabase() "
            "AND match(name, '^web_analytics_(build|lock|takeover)_') ORDER BY name"
        )
    ]


def load_dags(folder: Path):
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(dag_folder=str(folder))


@dataclass
class FinishedRun:
    """A DAG run that came to its end.

    :ivar states: the states of each task's instances, by task id.
    """

    state: str
    run_id: str
    states: dict[str, list[str]]
    map_labels: dict[str, list[str]]

    def ran(self, task_id: str) -> int:
        return self.states.get(task_id, []).count("success")


class DagRunner:
    """Runs a DAG in this process. Each run reads its file anew: dag.test() leaves the conf in the params."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(
        self, dag_id: str, conf: dict | None = None, *, logical_date: datetime | None = None
    ) -> FinishedRun:
        dag = self._load(dag_id)
        if logical_date:
            _forget_run(dag_id, logical_date)
            return finished_run(dag.test(run_conf=conf, logical_date=logical_date))
        return finished_run(dag.test(run_conf=conf))

    def clear_and_run(self, dag_id: str, run_id: str) -> FinishedRun:
        """Runs a run once more, all of whose tasks a person has cleared."""
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.session import create_session

        from tests.chaos import runs

        dag = self._load(dag_id)
        with create_session() as session:
            known_to_scheduler = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
            known_to_scheduler.clear(run_id=run_id, session=session)
            runs.find(session, run_id, dag_id).state = "running"
        runs.drive(dag, run_id, {})
        with create_session() as session:
            return finished_run(runs.find(session, run_id, dag_id))

    def _load(self, dag_id: str):
        dag = load_dags(self.folder / f"{dag_id.split('__')[0]}.py").dags[dag_id]
        for task in dag.tasks:
            if HAS_RETRY_POLICIES:
                from web_analytics.wiring.retries import ClickHouseRetryPolicy

                task.retry_policy = ClickHouseRetryPolicy(first_delay_seconds=0)
            task.retry_delay = timedelta(0)
        return dag


def finished_run(run) -> FinishedRun:
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        instances = session.scalars(
            select(TaskInstance)
            .where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
            .order_by(TaskInstance.task_id, TaskInstance.map_index)
        ).all()
        states: dict[str, list[str]] = {}
        labels: dict[str, list[str]] = {}
        for instance in instances:
            states.setdefault(instance.task_id, []).append(str(instance.state))
            labels.setdefault(instance.task_id, []).append(instance.rendered_map_index)
    return FinishedRun(str(getattr(run.state, "value", run.state)), run.run_id, states, labels)


def _forget_run(dag_id: str, logical_date: datetime) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id, DagRun.logical_date == logical_date))
