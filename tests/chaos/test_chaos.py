"""A seeded part of the chaos suite, and statements that are repeated after a transient failure."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_driver.errors import NetworkError, ServerException

from tests.support import leftovers
from web_analytics import clickhouse as package
from web_analytics import locks
from web_analytics.clickhouse import QueryFailed

CHECKOUT = Path(__file__).resolve().parents[2]
SUMMARY = re.compile(r"trials=(\d+) faults=(\d+) recovered=(\d+) lost=0 duplicated=0 leftovers=0")


@pytest.mark.slow
def test_twenty_trials_lose_double_and_leave_nothing():
    command = [sys.executable, "-m", "tests.chaos", "--trials", "20", "--seed", "7", "--jobs", "2"]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1200)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = SUMMARY.fullmatch(finished.stdout.splitlines()[-1])
    assert summary
    assert int(summary[1]) == int(summary[3]) == 20
    assert int(summary[2]) >= 20


@pytest.fixture
def failing(clickhouse, monkeypatch):
    """``failing(error, times, text)``: so many statements with this text fail, after they were executed."""
    monkeypatch.setattr(package, "REPEAT_PAUSES_SECONDS", (0, 0, 0))
    executed = []

    def fail(error: Exception, times: int, part: str = ""):
        execute = clickhouse.client.execute

        def broken(text, *arguments, **options):
            answer = execute(text, *arguments, **options)
            if part in text:
                executed.append(options["query_id"])
                if len(executed) <= times:
                    raise error
            return answer

        monkeypatch.setattr(clickhouse.client, "execute", broken)
        monkeypatch.setattr(clickhouse, "close", lambda: None)
        return executed

    return fail


def test_a_repeatable_statement_is_repeated(clickhouse, failing):
    executed = failing(ServerException("too many", code=202), times=3)
    assert clickhouse.query("schema/current_database")
    assert len(set(executed)) == 4


def test_it_is_not_repeated_for_ever(clickhouse, failing):
    executed = failing(ServerException("too many", code=202), times=9)
    with pytest.raises(QueryFailed, match="code 202"):
        clickhouse.query("schema/current_database")
    assert len(executed) == 4


@pytest.mark.parametrize("code", [62, 394])
def test_other_failures_are_not_repeated(clickhouse, failing, code):
    executed = failing(ServerException("no", code=code), times=1)
    with pytest.raises(QueryFailed):
        clickhouse.query("schema/current_database")
    assert len(executed) == 1


def test_after_a_broken_connection_the_query_is_ended_first(clickhouse, failing):
    """One execution that is lost, the KILL of its query, the repetition."""
    assert len(failing(NetworkError("lost"), times=1)) == 0
    assert clickhouse.query("schema/current_database")
    assert len(clickhouse.statistics) == 2


def test_a_write_that_adds_rows_is_left_to_its_task(clickhouse, failing):
    clickhouse.client.execute("CREATE TABLE target (period_bucket DateTime) ORDER BY tuple()")
    executed = failing(ServerException("too many parts", code=252), times=1)
    with pytest.raises(QueryFailed):
        clickhouse.run(
            "backfill/attach_partition",
            {"partition_id": "all"},
            {"table": "target", "source_table": "target"},
        )
    assert len(executed) == 1


def test_a_lock_whose_creation_was_not_answered_is_the_owners(clickhouse, failing, days):
    owner = locks.Owner("dag", "run")
    failing(ServerException("too many", code=202), times=1, part="CREATE TABLE")
    lock = locks.acquire(clickhouse, days(1)[0], owner)
    assert lock.owner == owner
    locks.release(clickhouse, lock)
    assert leftovers(clickhouse) == []


def test_a_unit_is_repeated_as_a_whole(clickhouse, failing):
    clickhouse.client.execute("CREATE TABLE target (period_bucket DateTime) ORDER BY tuple()")
    clickhouse.client.execute("INSERT INTO target SELECT now()")
    clickhouse.client.execute("CREATE TABLE clone AS target")
    executed = failing(ServerException("too many parts", code=252), times=1, part="ATTACH")

    def assemble():
        clickhouse.run("backfill/truncate", names={"table": "clone"})
        clickhouse.run(
            "backfill/attach_partition", {"partition_id": "all"}, {"table": "clone", "source_table": "target"}
        )

    clickhouse.repeat(assemble)
    assert len(executed) == 2
    assert clickhouse.client.execute("SELECT count() FROM clone") == [(1,)]
