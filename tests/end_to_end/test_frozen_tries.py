"""Tries that Airflow takes for dead wake up while their successor works: a task and the supervisor that sends its
heartbeats are stopped for longer than the heartbeat timeout, and go on in the middle of the next try."""

from __future__ import annotations

import json
import os
import signal

import pytest

from benchmarks.live_airflow import LiveAirflow, wait_for
from tests.chaos.servers import FaultyClickHouse
from tests.support import Source, differences_from_oracle, leftovers, set_up
from web_analytics.build.steps import build_partition
from web_analytics.settings import Settings

pytestmark = pytest.mark.slow

DAG = "web_analytics_backfill"
IMPATIENCE = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # only the runs of these tests
    "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": "0",
    "WEB_ANALYTICS_ACTIVITY": "scanned",
}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    with FaultyClickHouse(tmp_path_factory.mktemp("faulty")) as server:
        yield server
        frozen = server.control / "frozen.jsonl"
        for line in frozen.read_text().splitlines() if frozen.exists() else []:
            for pid in json.loads(line)["pids"]:
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def frozen_source(faulty):
    from web_analytics.clickhouse.connection import ClickHouse

    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = faulty.uri()
    with ClickHouse("clickhouse_default") as connection:
        set_up(connection)
        yield Source(connection)


@pytest.fixture(scope="module")
def airflow(faulty, frozen_source, tmp_path_factory):
    with LiveAirflow(tmp_path_factory.mktemp("airflow"), faulty.uri(), IMPATIENCE) as live:
        wait_for(lambda: live.is_known(DAG), 60, "the DAG")
        live.unpause(DAG)
        yield live


@pytest.mark.parametrize(
    ("age", "task_id", "frozen_after", "thawed_after"),
    [
        # Its clone is made; its successor makes, fills and compares one of its own.
        (0, "publish", "build/create_like_target", "build/compare_clone"),
        # One target was replaced already.
        (1, "publish", "build/replace_partition", "build/replace_partition"),
        # The rows are written; then somebody takes them for its own.
        (2, "insert_stats", "build/insert_stats", "build/insert_stats"),
    ],
)
def test_a_try_that_wakes_up_beside_its_successor_changes_nothing(
    airflow, faulty, frozen_source, days, age, task_id, frozen_after, thawed_after
):
    day = days(3)[age]
    # Of another team rows are kept, so that the day is put together in a clone.
    frozen_source.enable(3)
    frozen_source.visits([3], [day])
    build_partition(frozen_source.clickhouse, Settings.load(), day, [3])
    frozen_source.enable(1, 2)
    frozen_source.visits([1, 2], [day])
    nth = 2 if frozen_after == thawed_after else 1
    freeze = {"id": "freeze", "action": "freeze", "statement": f"^{frozen_after}$"}
    if task_id == "publish" and frozen_after == "build/create_like_target":
        freeze["nth"] = 3  # after those of the two inserts
    faulty.forget()
    faulty.plan(
        faults=[
            freeze,
            {"id": "thaw", "action": "thaw", "statement": f"^{thawed_after}$", "nth": nth, "seconds": 2},
        ]
    )
    run = airflow.trigger(DAG, {"days_back": 4})
    assert airflow.finish(run) == "success"
    assert [each["action"] for each in faulty.struck()] == ["freeze", "thaw"]
    again = [each["task_id"] for each in airflow.instances(run) if each["try_number"] > 1]
    assert again == [f"build_date.{task_id}"]
    assert differences_from_oracle(frozen_source.clickhouse, [day], [1, 2]) == []
    assert leftovers(frozen_source.clickhouse) == []
