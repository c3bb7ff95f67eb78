"""Two Airflows on one database, and the copy of one on another database of the same server, at work at once: runs of one id
on the same dates. Each has its own scheduler and metadata."""

from __future__ import annotations

import contextlib
import os
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.live_airflow import LiveAirflow, wait_for
from tests.support import Source, differences_from_oracle, leftovers, open_client, set_up

pytestmark = pytest.mark.slow

DAG, RUN = "web_analytics_backfill", "the_same_run"
STAGE = "build_date.stage"
SETTINGS = {
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # only the runs of this test
    "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": "0",
    "WEB_ANALYTICS_ACTIVITY": "scanned",
}
TEAMS = [1, 2]
PATIENCE = 900  # three schedulers on one machine
# A read of the source by the first statement of a build lasts until there is a row in the table go.
GATE = """
CREATE VIEW web_analytics_source_events AS
SELECT *
FROM real_source_events
WHERE
(
    SELECT count()
    FROM
    (
        SELECT number
        FROM system.numbers
        WHERE sleepEachRow(0.1) = 0
          AND (getSetting('log_comment') != 'build/fill_events' OR dictHas('{database}.gate', toUInt64(number * 0)))
        LIMIT 1
        SETTINGS max_block_size = 1
    )
) = 1
"""


@pytest.fixture
def databases(clickhouse_server):
    """A connection with a source to each of two databases of one server; the builds of the first are held up."""
    from web_analytics.clickhouse.connection import ClickHouse

    suffix = uuid.uuid4().hex[:8]
    names = [f"shared_{suffix}", f"elsewhere_{suffix}"]
    with open_client(clickhouse_server) as admin, contextlib.ExitStack() as opened:
        sources = []
        for name in names:
            admin.execute(f"CREATE DATABASE {name}")
            os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = clickhouse_server.uri(name)
            connection = opened.enter_context(ClickHouse("clickhouse_default"))
            set_up(connection, user=clickhouse_server.user, password=clickhouse_server.password)
            sources.append(Source(connection))
        shared = sources[0].clickhouse.client
        shared.execute("CREATE TABLE go (id UInt64) ENGINE = MergeTree ORDER BY id")
        shared.execute(
            "CREATE DICTIONARY gate (id UInt64) PRIMARY KEY id LAYOUT(DIRECT()) "
            f"SOURCE(CLICKHOUSE(DB '{names[0]}' TABLE 'go' USER '{clickhouse_server.user}' "
            f"PASSWORD '{clickhouse_server.password}'))"
        )
        shared.execute("RENAME TABLE web_analytics_source_events TO real_source_events")
        shared.execute(GATE.format(database=names[0]))
        yield names, sources
        shared.execute("INSERT INTO go VALUES", [(0,)])  # for whoever still waits
        for name in names:
            admin.execute(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def airflows(databases, clickhouse_server, tmp_path):
    """Two on the first database, and a copy of the first one, by its Fernet key too, on the second database."""
    [shared, elsewhere], _ = databases
    keys = ["1" * 43 + "=", "2" * 43 + "=", "1" * 43 + "="]
    with contextlib.ExitStack() as running, ThreadPoolExecutor(3) as pool:
        made = []
        for number, (database, key) in enumerate(zip([shared, shared, elsewhere], keys, strict=True)):
            home = tmp_path / f"airflow{number}"
            home.mkdir()
            settings = {**SETTINGS, "AIRFLOW__CORE__FERNET_KEY": key}
            made.append(LiveAirflow(home, clickhouse_server.uri(database), settings))
        for each in pool.map(lambda live: live.__enter__(), made):
            running.push(each)
        for each in made:
            wait_for(lambda live=each: live.is_known(DAG), 120, "the DAG")
            each.unpause(DAG)
        yield made


def begin(airflow: LiveAirflow) -> str:
    """:returns: the path of the run."""
    body = {"logical_date": None, "dag_run_id": RUN, "conf": {"days_back": 4}}
    airflow.call("POST", f"/api/v2/dags/{DAG}/dagRuns", body)
    return f"/api/v2/dags/{DAG}/dagRuns/{RUN}"


def stages(airflow: LiveAirflow, run: str) -> list[tuple[str, int]]:
    """State and number of the try of each date's first step."""
    return [
        (each["state"], each["try_number"])
        for each in airflow.instances(run)
        if each["task_id"] == STAGE and each["map_index"] >= 0
    ]


def clear(airflow: LiveAirflow, run: str) -> None:
    """As a person who wants the first steps, and all that follows, done again: their next tries end what earlier ones run."""
    body = {
        "dry_run": False,
        "dag_run_id": RUN,
        "task_ids": [STAGE],
        "include_downstream": True,
        "only_failed": False,
    }
    airflow.call("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", body)


def test_neither_ends_what_the_other_does_and_both_are_exact(databases, airflows, clickhouse_server, days):
    [shared, _], [source, source_elsewhere] = databases
    first, second, copy_elsewhere = airflows
    built = days(2)
    for each in (source, source_elsewhere):
        each.enable(*TEAMS)
        each.visits(TEAMS, built)

    with open_client(clickhouse_server) as observer:

        def held_up() -> set[str]:
            """The queries that read the source for builds of the shared database."""
            rows = observer.execute(
                "SELECT query_id FROM system.processes WHERE current_database = %(shared)s "
                "AND query_id LIKE %(stages)s AND elapsed > 0.3",
                {"shared": shared, "stages": f"{DAG}:%:{RUN}:{STAGE}:%"},
            )
            return {query_id for (query_id,) in rows}

        run_of_first = begin(first)
        held = wait_for(lambda: len(found := held_up()) == 2 and found, PATIENCE, "the builds of the first")

        # The second one respects the locks, whoever else has a run of this id; so do its further tries.
        run_of_second = begin(second)
        is_waiting = lambda number: stages(second, run_of_second) == [("up_for_reschedule", number)] * 2  # noqa: E731
        wait_for(lambda: is_waiting(1), PATIENCE, "the second one to wait")
        clear(second, run_of_second)
        wait_for(lambda: is_waiting(2), PATIENCE, "the second one to wait once more")
        # To the copy the runs of the first are its own, but for the database.
        run_of_copy = begin(copy_elsewhere)
        assert copy_elsewhere.finish(run_of_copy, PATIENCE) == "success"
        clear(copy_elsewhere, run_of_copy)
        wait_for(
            lambda: {number for _, number in stages(copy_elsewhere, run_of_copy)} == {2},
            240,
            "the copy's tries",
        )
        assert copy_elsewhere.finish(run_of_copy, PATIENCE) == "success"
        assert held_up() == held

        source.clickhouse.client.execute("INSERT INTO go VALUES", [(0,)])
        for airflow, run in ((first, run_of_first), (second, run_of_second)):
            assert airflow.finish(run, PATIENCE) == "success"
    # none again; what was skipped has no try
    assert {each["try_number"] for each in first.instances(run_of_first) if each["state"] == "success"} == {1}
    for each in (source, source_elsewhere):
        assert differences_from_oracle(each.clickhouse, built, TEAMS) == []
        assert leftovers(each.clickhouse) == []
    asked_by = {query_id.split(":")[1] for query_id in held}
    builders = source.clickhouse.client.execute(
        "SELECT DISTINCT splitByChar(':', query_id)[2] FROM web_analytics_backfill_log "
        "WHERE kind = 'attempt' AND task_id = 'build_date.publish' AND run_id = %(run)s",
        {"run": RUN},
    )
    assert len(asked_by) == 1
    assert len(builders) == 2, "each of the two has published"
