"""The grants of include/sql/rights are enough for their role, and no more.

The engine checks the rights of its user `default`; here that user has those of one role. What the development
server itself needs for its work (reading files of INSERT blocks, headers by temporary views) is granted besides. On
ClickHouse's own listener (`make test-server`) the user has the rights of the role alone.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from tests.servers.__main__ import LISTENER
from tests.servers.listener import Listener
from tests.support import Source, differences_from_oracle
from tests.tasks.test_cleanup_dag import answer
from web_analytics import rights
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.detection import detector
from web_analytics.errors import QueryFailed
from web_analytics.teams import registry
from web_analytics.teams.registry import Registration

DATABASE = "web_analytics"
DEVELOPMENT_SERVER = [
    "GRANT SYSTEM FLUSH LOGS, KILL QUERY, CREATE TEMPORARY TABLE, CREATE TEMPORARY VIEW, FILE, SHOW ON *.*",
    "GRANT SELECT, CREATE VIEW, DROP VIEW ON system.*",
]
CONFIG = """<clickhouse>
  <user_directories><users_xml><path>{path}</path></users_xml></user_directories>
  <users><default>
    <password></password><profile>default</profile><quota>default</quota><networks><ip>::/0</ip></networks>
    <grants>{grants}</grants>
  </default></users>
  <profiles><default/></profiles><quotas><default/></quotas>
</clickhouse>"""


def granted_to(role: str) -> list[str]:
    """The role's statement as rights of the engine's user."""
    return [rights.grant_without_role(DATABASE, role)]


@pytest.fixture
def acting_as(tmp_path, monkeypatch):
    """The server with the rights of one role; the data stay from one to the next."""
    from embedded_clickhouse.process import EmbeddedClickHouse

    @contextmanager
    def serve(role: str | None):
        if library := os.environ.get(LISTENER):
            # All of them: the dictionary signs in as who has set it up.
            users = {each: granted_to(each) for each in rights.ROLES}
            with Listener(tmp_path / "listener", Path(library), users=users) as server:
                server.user = role or server.user
                yield from connected(server, role)
            return
        config = tmp_path / "config.xml"
        grants = ["GRANT ALL ON *.*"] if role is None else DEVELOPMENT_SERVER + granted_to(role)
        queries = "".join(f"<query>{escape(grant)}</query>" for grant in grants)
        config.write_text(CONFIG.format(path=config, grants=queries))
        with EmbeddedClickHouse(tmp_path / "data", config_file=config) as server:
            yield from connected(server, role)

    def connected(server, role: str | None):
        if role is None:
            with Client(server.host, port=server.port) as client:
                client.execute(f"CREATE DATABASE {DATABASE}")
        monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", server.uri(DATABASE))
        with ClickHouse("clickhouse_default") as connection:
            yield connection

    return serve


def refused(client: Client, statement: str) -> bool:
    try:
        client.execute(statement)
    except ServerException as error:
        return error.code == 497
    return False


@pytest.mark.slow
def test_each_role_can_do_its_work_and_no_more(acting_as, run_dag, settings, days):
    from demo import sample_data

    with acting_as(None) as clickhouse:
        sample_data.create_source(clickhouse)
        Source(clickhouse).visits([1, 2, 3], days(3))

    with acting_as("setup") as clickhouse:
        assert run_dag("web_analytics_setup").state == "success"
        assert run_dag("web_analytics_setup").state == "success"
        Source(clickhouse).enable(1, 2)
        for statement in (
            "DROP TABLE events",
            "INSERT INTO events (team_id) SELECT 1",
            "TRUNCATE TABLE events",
        ):
            assert refused(clickhouse.client, statement), statement

    with acting_as("writer") as clickhouse:
        assert run_dag("web_analytics_backfill", {"days_back": 6}).state == "success"
        assert differences_from_oracle(clickhouse, days(3), [1, 2]) == []
        rebuild = {"date_start": days(3)[-1].isoformat(), "date_end": days(3)[0].isoformat()}
        assert run_dag("web_analytics_backfill", {**rebuild, "rebuild": True}).state == "success"
        assert run_dag("web_analytics_validate", {**rebuild, "adopt": True}).state == "success"
        registry.change(clickhouse, Registration(3, False, "UTC", 7), {"enabled": True}, "eve")
        registry.publish(clickhouse)
        for dag_id in ("team_backfill", "diagnostics", "health"):
            assert run_dag(f"web_analytics_{dag_id}").state == "success", dag_id
        with answer("Approve"):
            delete = {"team_id": 2, **rebuild, "dry_run": False, "disable_team": True}
            assert run_dag("web_analytics_cleanup", delete).state == "success"
        for statement in (
            "DROP TABLE events",
            "INSERT INTO events (team_id) SELECT 1",
            "DELETE FROM events WHERE 1",
            "DROP TABLE web_pre_aggregated_stats",
            "ALTER TABLE web_pre_aggregated_stats ADD COLUMN more UInt8",
            "CREATE TABLE mine (a UInt8) ENGINE = MergeTree ORDER BY a",
        ):
            assert refused(clickhouse.client, statement), statement

    with acting_as("reader") as clickhouse:
        assert run_dag("web_analytics_diagnostics").state == "success"
        scope = detector.DetectionScope(detector.DateRange(days(3)[-1], days(3)[0]), ("missing",), False)
        assert detector.count_gaps(clickhouse, settings, scope, [1, 3]) == []
        assert differences_from_oracle(clickhouse, days(3), [1, 3]) == []
        for statement in (
            "INSERT INTO web_analytics_backfill_log (kind) SELECT 'x'",
            "TRUNCATE TABLE web_pre_aggregated_stats",
            "CREATE TABLE web_analytics_lock_20260101 (a UInt8) ENGINE = MergeTree ORDER BY a",
        ):
            assert refused(clickhouse.client, statement), statement
        if LISTENER in os.environ:  # the engine lets everybody read its log
            asked = detector.count_questions(clickhouse, settings, scope, [1, 3], None, datetime.now(UTC))
            assert asked.unknown == "the user may not read system.query_log"
        version = {
            "team_id": 1,
            **Registration(1, True, "UTC", 7).settings(),
            "changed_by": "eve",
            "token": "",
        }
        with pytest.raises(QueryFailed, match="Grant the right"):
            clickhouse.run("teams/insert_registered", version)


def system_tables(*folders: str) -> set[str]:
    """What the statements in these folders read of ClickHouse itself; KILL QUERY looks into the processes."""
    texts = [file.read_text() for folder in folders for file in (sql.SQL_ROOT / folder).glob("*.sql")]
    named = {name for text in texts for name in re.findall(r"\bFROM\s+system\.(\w+)", text)}
    return named | {"processes" for text in texts if re.search("^KILL QUERY", text, re.M)}


def test_the_grants_name_the_system_tables_that_are_read():
    """A server refuses others; the engine here lets everybody read them."""
    granted = {
        role: set(re.findall(r"SELECT ON system\.(\w+)", " ".join(granted_to(role)))) for role in rights.ROLES
    }
    others = {"benchmarks", "rights", "demo"}
    everything = system_tables(
        *(folder.name for folder in sql.SQL_ROOT.iterdir() if folder.name not in others)
    )
    assert granted["writer"] == everything
    # what only runs ask: what they cost, and how busy the server is
    assert granted["reader"] == everything - {"query_log", "metrics", "server_settings", "replicas"}
    # a retry first ends what the try before left running
    assert granted["setup"] == system_tables("schema", "source", "migrations", "clickhouse")


def test_all_roles_are_rendered_for_a_database():
    rendered = rights.statements("analytics", "prefix")
    assert len(rendered) == 6
    assert "GRANT" in rendered[1]
    assert "analytics.web_pre_aggregated_*" in rendered[3]
    with pytest.raises(ValueError, match="plain SQL identifier"):
        rights.statements("a; DROP")
