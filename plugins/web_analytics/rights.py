"""The roles of ClickHouse that the package needs, as statements for an administrator to run (docs/security.md).

python -m web_analytics.rights DATABASE [--prefix NAME] | clickhouse-client --multiquery
"""

from __future__ import annotations

import argparse
import re

from web_analytics.clickhouse import sql

ROLES = ("setup", "writer", "reader")


def statements(database: str, prefix: str = "web_analytics") -> list[str]:
    """CREATE ROLE and GRANT for each role; running them again changes nothing.

    :param prefix: the roles are called ``<prefix>_setup``, ``<prefix>_writer`` and ``<prefix>_reader``.
    :raises ValueError: database or prefix is not a plain identifier.
    """
    rendered = []
    for role in ROLES:
        names: sql.Names = {"database": database, "role": f"{prefix}_{role}"}
        rendered += [sql.render("rights/create_role", names), sql.render(f"rights/grant_{role}", names)]
    return rendered


def grant_without_role(database: str, role: str) -> str:
    """What one of ROLES may do, as GRANT without TO: how ClickHouse's users.xml has the rights of a user.

    :raises ValueError: the database is not a plain identifier.
    """
    text = sql.render(f"rights/grant_{role}", {"database": database, "role": "somebody"})
    text = re.sub(r"--[^\n]*\n", "", text)
    return " ".join(text.rsplit("TO somebody", 1)[0].split())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m web_analytics.rights", description=__doc__)
    parser.add_argument("database")
    parser.add_argument("--prefix", default="web_analytics")
    arguments = parser.parse_args()
    for statement in statements(arguments.database, arguments.prefix):
        print(statement.rstrip() + ";\n")


if __name__ == "__main__":
    main()
