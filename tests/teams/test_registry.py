"""Changes of the registry of teams from several processes: none undoes another's."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.support import leftovers
from web_analytics import schema
from web_analytics.build import cleanup
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
        "mute_low_volume": False,
    }
    assert leftovers(clickhouse) == []


def test_a_cleanup_that_has_lost_the_registry_disables_nobody_behind_whoever_changes_it(source, monkeypatch):
    """It is stopped before it writes, for longer than the lock holds; an api-server changes the team's zone meanwhile."""
    clickhouse = source.clickhouse
    registry.change(clickhouse, NEW, {"enabled": True}, "eve")
    run, others = ClickHouse.run, []

    def stop_before_writing(connection, path, *arguments, **more):
        writes = path in ("teams/insert_registered", "teams/disable_team")
        if writes and connection is clickhouse and not others:
            monkeypatch.setattr(registry, "ABANDONED_AFTER", timedelta(seconds=-1))
            others.append("took the lock")
            # It reads the team, then the cleanup goes on, then it writes what it has read with another zone.
            with ClickHouse("clickhouse_default") as other, registry.alone(other) as token:
                read = registry.read(other, 7)
                run(connection, path, *arguments, **more)
                wanted = {
                    **read.settings(),
                    "timezone": "Europe/Berlin",
                    "changed_by": "anna",
                    "token": token,
                }
                run(other, "teams/insert_registered", {"team_id": 7, **wanted})
            return None
        return run(connection, path, *arguments, **more)

    monkeypatch.setattr(ClickHouse, "run", stop_before_writing)
    # It says so, and is tried again, rather than to go on deleting what would be built again.
    with pytest.raises(RegistryBusy):
        cleanup.disable(clickhouse, 7, "a person")
    assert others
    assert cleanup.disable(clickhouse, 7, "a person")
    found = registry.read(clickhouse, 7)
    assert (found.enabled, found.timezone, found.changed_by) == (False, "Europe/Berlin", "a person")


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


def test_changes_follow_on_each_other_where_the_server_does_not_know_how_old_a_table_is(
    clickhouse_server, web_analytics_schema, monkeypatch
):
    """As in the demonstration, in the engine's database default, which keeps no files of metadata."""
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", clickhouse_server.uri("default"))
    with ClickHouse("clickhouse_default") as connection:
        tables = "SELECT name FROM system.tables WHERE database = currentDatabase()"
        before = set(connection.client.execute(tables))
        try:
            schema.create_tables(connection)
            for enabled in (True, False):
                registry.change(connection, NEW, {"enabled": enabled}, "eve")
                assert connection.query("teams/read_registry_lock") == []
            connection.run("teams/create_registry_lock", {"token": "killed"})
            monkeypatch.setattr(registry, "ABANDONED_AFTER", timedelta(seconds=0.2))
            registry.change(connection, NEW, {"enabled": True}, "eve")
            assert registry.read(connection, 7).enabled
        finally:
            for (name,) in set(connection.client.execute(tables)) - before:
                connection.client.execute(f"DROP TABLE {name} SYNC")
