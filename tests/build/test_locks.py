"""The life of a lock: taken, renewed, continued, waited for, taken over, released."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest
from clickhouse_driver.errors import ServerException

from tests.support import differences_from_oracle, leftovers, merged_totals, open_client
from web_analytics.build import cleanup, locks, steps
from web_analytics.build.locks import LockHeld, LockLost, Owner, RunActivity
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.errors import QueryFailed
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.tables import BUILT_TABLES, STATS

DAY = date(2026, 1, 2)
ANNA, BERT = Owner("web_analytics_backfill", "anna"), Owner("web_analytics_backfill", "bert")


def says(activity: RunActivity):
    return lambda owner: activity


def test_a_second_run_is_told_who_holds_the_lock_and_since_when(clickhouse):
    lock = locks.acquire(clickhouse, DAY, ANNA)
    with pytest.raises(
        LockHeld, match=r"2026-01-02 is locked by run anna of web_analytics_backfill since 20\d\d-"
    ):
        locks.acquire(clickhouse, DAY, BERT)
    locks.release(clickhouse, lock)
    assert locks.acquire(clickhouse, DAY, BERT).owner == BERT


def test_the_owners_retry_continues_its_lock(clickhouse):
    lock = locks.acquire(clickhouse, DAY, ANNA)
    assert locks.acquire(clickhouse, DAY, ANNA) == lock


def test_a_run_of_the_same_id_in_another_airflow_is_another_owner(clickhouse):
    here, there = (TaskIdentity("web_analytics_backfill", "anna", deployment=name) for name in ("one", "two"))
    lock = locks.acquire(clickhouse, DAY, Owner.of(here))
    with pytest.raises(LockHeld, match="Airflow one"):
        locks.acquire(clickhouse, DAY, Owner.of(there))
    assert locks.acquire(clickhouse, DAY, Owner.of(here)) == lock


def test_queries_of_another_database_and_of_another_airflow_go_on(clickhouse, clickhouse_server):
    """With names and tokens as they are in a copy of a database, and with run ids as they are in another Airflow."""
    tasks = [TaskIdentity("web_analytics_backfill", "anna", "stage", 0, 1, name) for name in ("one", "two")]
    prefix = f"{locks._build_prefix(DAY)}abc_"
    with contextlib.ExitStack() as at_the_end, ThreadPoolExecutor(2) as pool:
        elsewhere = open_client(clickhouse_server)
        at_the_end.callback(elsewhere.disconnect)

        def work(task: TaskIdentity, is_here: bool) -> None:
            endless = f"SELECT count(), '{prefix}' FROM numbers(10000000000000) WHERE sipHash64(number) = 0"
            with ClickHouse("clickhouse_default") as connection:
                client = connection.client if is_here else elsewhere
                client.execute(endless, query_id=f"{task.origin}:1")

        def running() -> set[str]:
            rows = clickhouse.client.execute(
                "SELECT query_id FROM system.processes WHERE position(query, %(prefix)s) > 0 "
                "AND position(query, 'system.processes') = 0",
                {"prefix": prefix},
            )
            return {query_id for (query_id,) in rows}

        of_copy, of_other = (f"{task.origin}:1" for task in tasks)
        working = [pool.submit(work, tasks[0], False), pool.submit(work, tasks[1], True)]
        try:
            deadline = time.monotonic() + 60
            while running() != {of_copy, of_other}:
                assert time.monotonic() < deadline
            earlier = {"task_prefix": tasks[0].task_origin, "try_prefix": f"{tasks[0].task_origin}2:"}
            assert clickhouse.query("clickhouse/kill_queries_of_earlier_tries", earlier) == []
            assert clickhouse.query("clickhouse/kill_query", {"query_id": of_copy}) == []
            count = clickhouse.query("build/count_queries_of_build", {"table_prefix": prefix})
            assert count == [{"running": 1}]
            # Those of this database, whoever runs them: the tables are of this one.
            killed = clickhouse.query("build/kill_queries_of_build", {"table_prefix": prefix})
            assert [row["query_id"] for row in killed] == [of_other]
            assert running() == {of_copy}
        finally:
            for query_id in (of_copy, of_other):
                clickhouse.client.execute(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        assert [each.exception().code for each in working] == [394, 394]


def test_one_of_many_contenders_gets_the_lock(clickhouse):
    barrier = threading.Barrier(10)

    def contend(number: int):
        with ClickHouse("clickhouse_default") as connection:
            connection.query("schema/current_database")
            barrier.wait()
            try:
                return locks.acquire(connection, DAY, Owner("dag", f"run {number}"))
            except LockHeld:
                return None

    with ThreadPoolExecutor(10) as pool:
        winners = [lock for lock in pool.map(contend, range(10)) if lock]
    assert len(winners) == 1
    assert locks.find(clickhouse, DAY).lock == winners[0]


def test_the_lock_of_a_run_that_ended_is_taken_over_by_one_of_many(clickhouse):
    old = locks.acquire(clickhouse, DAY, ANNA)
    barrier = threading.Barrier(10)

    def contend(number: int):
        with ClickHouse("clickhouse_default") as connection:
            connection.query("schema/current_database")

            def activity(owner: Owner) -> RunActivity:
                return RunActivity.ENDED if owner == ANNA else RunActivity.ACTIVE

            barrier.wait()
            try:
                return locks.acquire(connection, DAY, Owner("dag", f"run {number}"), activity=activity)
            except LockHeld:
                return None

    with ThreadPoolExecutor(10) as pool:
        winners = [lock for lock in pool.map(contend, range(10)) if lock]
    assert len(winners) == 1
    with pytest.raises(LockLost, match=f"now held by run {winners[0].owner.run_id}"):
        locks.check_held(clickhouse, old)
    locks.release(clickhouse, old)
    assert locks.find(clickhouse, DAY).lock == winners[0]
    locks.release(clickhouse, winners[0])
    assert leftovers(clickhouse) == []


def test_a_lock_may_be_taken_over_again_and_again(clickhouse):
    owners = [Owner("dag", f"run {number}") for number in range(4)]
    for owner in owners:
        lock = locks.acquire(clickhouse, DAY, owner, activity=says(RunActivity.ENDED))
        locks.check_held(clickhouse, lock)
    assert locks.find(clickhouse, DAY).lock.owner == owners[-1]
    locks.release(clickhouse, lock)
    assert leftovers(clickhouse) == []


@pytest.mark.parametrize("activity", [RunActivity.ACTIVE, RunActivity.UNKNOWN])
def test_an_unrenewed_lock_is_taken_over_after_its_time_to_live(clickhouse, activity):
    locks.acquire(clickhouse, DAY, ANNA)
    with pytest.raises(LockHeld):
        locks.acquire(clickhouse, DAY, BERT, ttl=timedelta(minutes=1), activity=says(activity))
    assert locks.acquire(clickhouse, DAY, BERT, ttl=timedelta(0), activity=says(activity)).owner == BERT


def test_a_lock_that_is_just_being_created_is_not_taken_over(clickhouse):
    lock = locks.acquire(clickhouse, DAY, ANNA, ttl=timedelta(minutes=120))
    [[place, path]] = clickhouse.client.execute(
        "SELECT (SELECT path FROM system.disks WHERE name = 'default'), metadata_path FROM system.tables "
        "WHERE database = currentDatabase() AND name = %(name)s",
        {"name": lock.table},
    )
    metadata = Path(place) / path
    if not metadata.exists():
        pytest.skip("it renames a file of the server, which is on another machine")
    # As in the moment between the table's appearance and the renaming of its metadata file.
    metadata.rename(f"{metadata}.tmp")
    try:
        assert locks.find(clickhouse, DAY).since.year == 1970
        with pytest.raises(LockHeld):
            locks.acquire(clickhouse, DAY, BERT, ttl=timedelta(minutes=120))
    finally:
        metadata.with_name(f"{metadata.name}.tmp").rename(metadata)
    assert locks.find(clickhouse, DAY).lock == lock


def test_a_lock_of_which_a_query_runs_is_not_taken_over_for_its_age(clickhouse):
    lock = locks.acquire(clickhouse, DAY, ANNA)

    def long_query():
        with ClickHouse("clickhouse_default") as connection, pytest.raises(ServerException, match="394"):
            connection.client.execute(
                f"SELECT sum(sleepEachRow(0.1)), '{lock.table_prefix}' FROM numbers(600)"
                " SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0"
            )

    thread = threading.Thread(target=long_query)
    thread.start()
    while not clickhouse.query("build/count_queries_of_build", {"table_prefix": lock.table_prefix})[0][
        "running"
    ]:
        pass
    with pytest.raises(LockHeld):
        locks.acquire(clickhouse, DAY, BERT, ttl=timedelta(0))
    # A run that has ended cannot finish what it still runs: that query is ended and the lock taken over.
    taken = locks.acquire(clickhouse, DAY, BERT, ttl=timedelta(0), activity=says(RunActivity.ENDED))
    thread.join(timeout=10)
    assert not thread.is_alive()
    assert taken.owner == BERT


def test_a_broken_off_release_leaves_nothing_behind(clickhouse):
    locks.acquire(clickhouse, DAY, ANNA)
    locks.acquire(clickhouse, DAY, BERT, activity=says(RunActivity.ENDED))
    clickhouse.run("build/drop_tables", names={"tables": [locks.lock_table(DAY)]})  # and then it was killed
    lock = locks.acquire(clickhouse, DAY, ANNA)
    locks.release(clickhouse, lock)
    assert leftovers(clickhouse) == []


def test_a_zombie_of_the_old_owner_can_publish_nothing(source, settings, days):
    clickhouse, [day] = source.clickhouse, days(1)
    source.enable(1)
    source.visits([1], [day])
    zombie = TaskIdentity(dag_id="dag", run_id="zombie")
    zombies_build = steps.stage(clickhouse, settings, zombie, day, [1])
    zombies_fresh = [steps.insert(clickhouse, zombie, zombies_build, table) for table in BUILT_TABLES]

    heir = TaskIdentity(dag_id="dag", run_id="heir")
    heirs_build = steps.stage(clickhouse, settings, heir, day, [1], says(RunActivity.ENDED))
    for step in (
        lambda: steps.insert(clickhouse, zombie, zombies_build, STATS),
        lambda: steps.publish(clickhouse, settings, zombie, zombies_build, zombies_fresh),
    ):
        with pytest.raises(LockLost):
            step()
    # Even past its check of the lock, what it would publish from is gone.
    with pytest.raises(QueryFailed) as failure:
        steps.replace_partition(
            clickhouse, zombies_build.lock, STATS, steps.Assembled(zombies_fresh[0], True)
        )
    assert failure.value.code == locks.UNKNOWN_TABLE
    assert merged_totals(clickhouse) == [[], []]

    steps.release(clickhouse, zombies_build)
    fresh = [steps.insert(clickhouse, heir, heirs_build, table) for table in BUILT_TABLES]
    steps.publish(clickhouse, settings, heir, heirs_build, fresh)
    steps.release(clickhouse, heirs_build)
    assert differences_from_oracle(clickhouse, [day], [1]) == []
    assert leftovers(clickhouse) == []


def test_ten_builds_of_one_date_at_once_lose_and_double_nothing(source, settings, days):
    """Two runs of one date at once doubled or lost teams."""
    [day] = days(1)
    teams = list(range(1, 11))
    source.enable(*teams)
    source.visits(teams, [day])
    barrier = threading.Barrier(len(teams))

    def build_one_team(team_id: int):
        with ClickHouse("clickhouse_default") as connection:
            connection.query("schema/current_database")
            barrier.wait()
            while True:
                try:
                    return steps.build_partition(connection, settings, day, [team_id], f"run {team_id}")
                except LockHeld:
                    continue

    with ThreadPoolExecutor(len(teams)) as pool:
        list(pool.map(build_one_team, teams))
    assert differences_from_oracle(source.clickhouse, [day], teams) == []
    assert leftovers(source.clickhouse) == []


def test_builds_and_cleanups_of_one_date_at_once_touch_only_their_own_teams(source, settings, days):
    """Half of the teams are built while the rows of the other half are deleted."""
    clickhouse, [day] = source.clickhouse, days(1)
    teams = list(range(1, 9))
    built, deleted = teams[::2], teams[1::2]
    source.enable(*teams)
    source.visits(teams, [day])
    steps.build_partition(clickhouse, settings, day, teams)
    source.visits(built, [day])  # what the builds have to add
    dates = DateRange(day, day + ONE_DAY)
    approved = {team_id: cleanup.stored_days(clickhouse, team_id, dates) for team_id in deleted}
    barrier = threading.Barrier(len(teams))

    def delete(connection: ClickHouse, team_id: int) -> None:
        task = TaskIdentity(dag_id="cleanup", run_id=f"run {team_id}")
        emptied, fresh = cleanup.prepare(connection, settings, task, day, team_id)
        try:
            cleanup.publish(connection, task, emptied, fresh, team_id, approved[team_id])
        finally:
            steps.release(connection, emptied)

    def work(team_id: int) -> None:
        with ClickHouse("clickhouse_default") as connection:
            connection.query("schema/current_database")
            barrier.wait()
            while True:
                try:
                    if team_id in deleted:
                        return delete(connection, team_id)
                    steps.build_partition(connection, settings, day, [team_id], f"run {team_id}")
                    return None
                except LockHeld:
                    continue

    with ThreadPoolExecutor(len(teams)) as pool:
        list(pool.map(work, teams))
    assert differences_from_oracle(clickhouse, [day], built) == []
    assert all(cleanup.stored_days(clickhouse, team_id, dates) == [] for team_id in deleted)
    assert leftovers(clickhouse) == []


def test_a_sweep_clears_what_abandoned_builds_left_and_nothing_else(source, settings, days):
    """A release that failed for good, after its date was published: no later run asks for that lock."""
    clickhouse, [used, left] = source.clickhouse, days(2)
    source.enable(1)
    source.visits([1], [used, left])
    steps.stage(clickhouse, settings, TaskIdentity(dag_id="dag", run_id="ended"), left, [1])
    at_work = steps.stage(clickhouse, settings, TaskIdentity(dag_id="dag", run_id="active"), used, [1])

    def activity(owner: Owner) -> RunActivity:
        return RunActivity.ACTIVE if owner.run_id == "active" else RunActivity.ENDED

    swept = locks.sweep(clickhouse, Owner("dag", "heir"), activity=activity)
    assert (swept.cleared, swept.in_use) == ([left], [used])
    assert locks.find(clickhouse, used).lock == at_work.lock
    assert all(
        name.startswith((at_work.lock.table, at_work.lock.table_prefix)) for name in leftovers(clickhouse)
    )
    assert locks.sweep(clickhouse, Owner("dag", "heir"), activity=activity).cleared == []


def test_a_takeover_that_was_broken_off_leaves_no_tables_behind(source, settings, days):
    clickhouse, [day] = source.clickhouse, days(1)
    source.enable(1)
    source.visits([1], [day])
    old = steps.stage(clickhouse, settings, TaskIdentity(dag_id="dag", run_id="old"), day, [1])
    heir = TaskIdentity(dag_id="dag", run_id="heir")
    # The marker is made, and then the heir's process is killed.
    locks._create(clickhouse, f"web_analytics_takeover_{day:%Y%m%d}_{old.token}", day, Owner("dag", "heir"))
    heirs = steps.stage(clickhouse, settings, heir, day, [1])
    steps.release(clickhouse, heirs)
    assert leftovers(clickhouse) == []
