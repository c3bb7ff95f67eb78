"""Changes of the registry of teams from several processes: none undoes another's."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support import leftovers
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.teams import registry
from web_analytics.teams.registry import Registration, RegistryBusy

NEW = Registration(7, False, "UTC", 7)


def test_changes_of_two_api_servers_at_once_do_not_undo_each_other(source, monkeypatch):
    """Each is held back between what it reads and what it writes until the other has read too, or waits."""
    clickhouse = source.clickhouse
    registry.change(clickhouse, NEW, {}, "setup")
    barrier, read = threading.Barrier(2), registry.read

    def read_and_wait(connection, team_id):
        found = read(connection, team_id)
        with contextlib.suppress(threading.BrokenBarrierError):  # the other one waits for the lock
            barrier.wait(timeout=0.5)
        return found

    monkeypatch.setattr(registry, "read", read_and_wait)

    def change(changes: dict) -> None:
        with ClickHouse("clickhouse_default") as connection:
            registry.change(connection, NEW, changes, "somebody")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(change, [{"enabled": True}, {"timezone": "Europe/Berlin"}]))
    assert read(clickhouse, 7).settings() == {
        "enabled": True,
        "timezone": "Europe/Berlin",
        "backfill_days": 7,
        "name": "",
    }
    assert leftovers(clickhouse) == []


def test_the_lock_of_a_process_that_was_killed_is_taken_over_and_its_late_change_does_nothing(
    source, monkeypatch
):
    clickhouse = source.clickhouse
    clickhouse.run("teams/create_registry_lock", {"token": "killed"})
    monkeypatch.setattr(registry, "WAITS_AT_MOST", timedelta(0))
    with pytest.raises(RegistryBusy):
        registry.change(clickhouse, NEW, {"enabled": True}, "eve")
    monkeypatch.setattr(registry, "WAITS_AT_MOST", timedelta(seconds=10))
    monkeypatch.setattr(registry, "ABANDONED_AFTER", timedelta(seconds=-1))
    registry.change(clickhouse, NEW, {"enabled": True}, "eve")
    clickhouse.run(
        "teams/insert_registered", {**NEW.settings(), "team_id": 7, "changed_by": "zombie", "token": "killed"}
    )
    assert registry.read(clickhouse, 7).changed_by == "eve"
