"""A date waits for a busy server, holds nothing meanwhile, and begins in the end: real runs on the real engine."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from tests.support import differences_from_oracle, leftovers, open_client
from web_analytics.api.coverage import progress
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.settings import Settings
from web_analytics.tasks import dates

DAG = "web_analytics_backfill"


@pytest.fixture
def missing(source, days, monkeypatch):
    """Two missing days, and no pause between two looks at the server."""
    source.enable(1)
    source.visits([1], days(2))
    monkeypatch.setattr(dates, "BUSY_POLL_SECONDS", 1)
    return source.clickhouse


def waits(clickhouse) -> list[tuple]:
    return clickhouse.client.execute(
        "SELECT toString(partition_date), status, reason FROM web_analytics_backfill_log WHERE kind = 'wait' ORDER BY logged_at"
    )


@contextlib.contextmanager
def somebody_elses_query(server):
    """Runs until it is ended: gives what ends it."""
    query_id = f"dashboard-{uuid.uuid4().hex}"

    def ask():
        with contextlib.suppress(Exception):  # it is killed
            open_client(server).execute(
                "SELECT count() FROM system.numbers WHERE sleepEachRow(0.05) = 1 SETTINGS max_block_size = 10",
                query_id=query_id,
            )

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    admin = open_client(server)
    while not admin.execute(f"SELECT count() FROM system.processes WHERE query_id = '{query_id}'")[0][0]:
        time.sleep(0.05)

    def end():
        open_client(server).execute(f"KILL QUERY WHERE query_id = '{query_id}' SYNC")
        asking.join()

    yield end
    end()


def test_a_date_waits_until_others_queries_are_gone(
    missing, clickhouse_server, run_dag, days, monkeypatch, caplog
):
    """While it waits, the page and the grid say why, and no lock is held."""
    monkeypatch.setenv("WEB_ANALYTICS_BUSY_ABOVE", '{"queries": 0}')
    seen, ended = [], threading.Event()

    def watch(end):
        with ClickHouse("clickhouse_default") as clickhouse:
            while len({day for day, *_ in waits(clickhouse)}) < 2 and not ended.wait(0.2):
                pass
            builds = progress.read_status(clickhouse, Settings.load(), "", datetime.now(UTC))["builds"]
            seen.append((builds[0]["waiting"], builds[0]["why_waiting"], leftovers(clickhouse)))
        end()

    with somebody_elses_query(clickhouse_server) as end, caplog.at_level(logging.INFO):
        watcher = threading.Thread(target=watch, args=(end,))
        watcher.start()
        run = run_dag(DAG)
        ended.set()
        watcher.join()
    [(waiting, why, held)] = seen
    assert waiting == sorted(map(str, days(2)))
    assert why.startswith("ClickHouse is busy: ")
    assert "queries of others run (at most 0)" in why
    assert held == []
    assert run.state == "success"
    assert run.map_labels["build_date.stage"] == [str(day) for day in days(2)]
    assert differences_from_oracle(missing, days(2), [1]) == []
    assert sorted(day for day, status, _ in waits(missing) if status == "over") == sorted(map(str, days(2)))
    assert progress.read_status(missing, Settings.load(), "", datetime.now(UTC))["builds"][0]["waiting"] == []


@pytest.mark.slow
def test_a_server_that_stays_busy_keeps_no_date_for_ever(missing, run_dag, days, monkeypatch, caplog):
    monkeypatch.setenv("WEB_ANALYTICS_BUSY_ABOVE", '{"memory_percent": 0}')
    monkeypatch.setattr(Settings, "busy_wait", property(lambda self: timedelta(seconds=3)))
    with caplog.at_level(logging.INFO):
        run = run_dag(DAG)
    assert run.state == "success"
    assert run.map_labels["build_date.publish"] == [str(day) for day in days(2)]
    assert "for a calmer server and begins all the same" in caplog.text
    statuses = [(day, status) for day, status, _ in waits(missing)]
    assert sorted(statuses) == sorted((str(day), status) for day in days(2) for status in ("waiting", "over"))
    assert "although ClickHouse is busy" in waits(missing)[-1][2]


@pytest.mark.parametrize(
    ("variable", "value"), [("WEB_ANALYTICS_BUSY_ABOVE", "{}"), ("WEB_ANALYTICS_BUSY_WAIT_MINUTES", "0")]
)
def test_switched_off_it_asks_nothing(missing, run_dag, monkeypatch, caplog, variable, value):
    monkeypatch.setenv(variable, value)
    with caplog.at_level(logging.INFO):
        assert run_dag(DAG, {"max_partitions": 1}).state == "success"
    assert "build/fill_events took" in caplog.text
    assert "tasks/read_load" not in caplog.text


def test_a_load_that_cannot_be_seen_keeps_nobody_waiting(missing, run_dag, monkeypatch, caplog, tmp_path):
    """What a login without the right is told, told by the engine for a table that it does not have."""
    from web_analytics.clickhouse import sql

    (tmp_path / "tasks").mkdir()
    text = (sql.SQL_ROOT / "tasks" / "read_load.sql").read_text()
    (tmp_path / "tasks" / "read_load.sql").write_text(
        text.replace("FROM system.metrics", "FROM system.not_there")
    )
    monkeypatch.setenv("WEB_ANALYTICS_SQL_DIR", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        run = run_dag(DAG)
    assert run.state == "success"
    assert len([each for each in caplog.messages if "the server's load cannot be seen" in each]) == 2
    assert waits(missing) == []


def test_what_is_looked_at_is_there(missing):
    """On this engine, in numbers that can be compared with the bounds."""
    tables = ["web_pre_aggregated_stats", "web_pre_aggregated_bounces"]
    for replicated in (False, True):
        [load] = missing.query("tasks/read_load", {"tables": tables}, {"replicated": replicated})
        assert set(load) == set(Settings.load({}).busy_above)
        assert 0 < load["memory_percent"] < 100
        assert all(number >= 0 for number in load.values())
    missing.client.execute("SYSTEM STOP MERGES web_pre_aggregated_stats")
    for _ in range(4):
        missing.client.execute(
            "INSERT INTO web_pre_aggregated_stats (period_bucket, team_id) VALUES ('2026-01-02 00:00:00', 1)"
        )
    assert missing.query("tasks/read_load", {"tables": tables})[0]["parts"] == 4
