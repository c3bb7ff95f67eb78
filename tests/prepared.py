"""Databases that one test after the other uses: to empty one takes a fraction of the time of a setup."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MIGRATIONS = "web_analytics_schema_migrations"
DICTIONARY = "web_pre_aggregated_teams_dict"


@dataclass
class Database:
    """A database, and what the setup has made in it.

    :ivar tables: how each table, view and dictionary was made, and its identity; None before the setup.
    """

    name: str
    tables: list[tuple[Any, ...]] | None = None

    @property
    def is_prepared(self) -> bool:
        return self.tables is not None

    def was_set_up(self, client) -> None:
        """Just now: there is nothing else in it."""
        self.tables = _tables(client, self.name)

    def empty(self, client) -> bool:
        """Takes away what a test has written.

        :returns: whether it is as the setup has made it; not where a test has changed a table, or left one or a mutation.
        """
        if _tables(client, self.name) != self.tables:
            return False
        in_database = {"database": self.name}
        if client.execute(
            "SELECT 1 FROM system.mutations WHERE database = %(database)s AND NOT is_done", in_database
        ):
            return False
        written = client.execute(
            "SELECT DISTINCT table FROM system.parts WHERE database = %(database)s AND active", in_database
        )
        for (table,) in written:
            if table != MIGRATIONS:
                client.execute(f"TRUNCATE TABLE {self.name}.{table}")
        loaded = client.execute(
            "SELECT 1 FROM system.dictionaries WHERE database = %(database)s AND element_count > 0",
            in_database,
        )
        if loaded:
            client.execute(f"SYSTEM RELOAD DICTIONARY {self.name}.{DICTIONARY}")
        return True


def _tables(client, database: str) -> list[tuple[Any, ...]]:
    return client.execute(
        "SELECT name, uuid, create_table_query, if(name = %(migrations)s, total_rows, 0) FROM system.tables "
        "WHERE database = %(database)s ORDER BY name",
        {"database": database, "migrations": MIGRATIONS},
    )
