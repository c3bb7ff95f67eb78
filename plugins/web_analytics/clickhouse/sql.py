"""Loads the statements in ``include/sql``, wherever an installation has that folder.

In a checkout it stands beside the folder of the package; a wheel and the zip files of `make dist` have it inside the
package. What the folder WEB_ANALYTICS_SQL_DIR holds goes first: a user's own sources and tables, or a copy of all.

Identifiers (table and column names) are filled in here, from an allow-list of forms. Values are never
rendered: a statement writes ``%(name)s`` and the driver puts the escaped value there. A literal percent
sign is therefore written ``%%``.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path, PurePosixPath

import jinja2

import web_analytics

DIRECTORY_VARIABLE = "WEB_ANALYTICS_SQL_DIR"
# Beside the folder of the package, as in the repository.
SQL_ROOT = Path(__file__).resolve().parents[3] / "include" / "sql"
# Inside the package, where a wheel and `make dist` put it.
PACKAGED = "sql"
# Every statement with a macro needs it: a folder without it is no copy of the package's.
MACROS = "macros"

Names = dict[str, "str | int | bool | list[str]"]

# What the statements are on one node; on several nodes placement.Placement says otherwise.
# cluster: the name of the cluster, or its macro. ddl_on_cluster: the server passes the making of tables on to all nodes.
# replicated: lasting tables are. keeper_path: they name their place in Keeper. replicated_builds: locks and per-run tables are
# replicated too. all_nodes: queries are looked for on all nodes. kill_on_cluster: and ended there by one statement.
ONE_NODE: Names = {
    "cluster": "{cluster}",
    "ddl_on_cluster": False,
    "replicated": False,
    "keeper_path": False,
    "replicated_builds": False,
    "all_nodes": False,
    "kill_on_cluster": False,
}

# The name of a cluster, or in braces a macro of the server.
CLUSTER = r"[A-Za-z_][A-Za-z0-9_-]{0,199}|\{[A-Za-z_][A-Za-z0-9_]{0,199}\}"
IDENTIFIER = r"[A-Za-z_$][A-Za-z0-9_$]{0,199}"


def _own() -> jinja2.BaseLoader:
    """The package's own statements come from one place, so that two versions never mix: from inside the package where
    they are there, else from beside it."""
    try:
        return jinja2.PackageLoader("web_analytics", PACKAGED)
    except ValueError:  # The package has no such folder.
        return jinja2.FileSystemLoader(SQL_ROOT)


@cache
def _environment_of(directory: str) -> jinja2.Environment:
    """What was rendered once stays as it is while the process lives, as the modules that use it do.

    :param directory: goes before the package's own statements; empty: none.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([*([jinja2.FileSystemLoader(directory)] if directory else []), _own()]),
        auto_reload=False,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.globals.update(ONE_NODE)
    return environment


def _environment() -> jinja2.Environment:
    return _environment_of(os.environ.get(DIRECTORY_VARIABLE, "").strip())


def exists(path: str) -> bool:
    """Whether there is a statement ``<path>.sql``."""
    environment = _environment()
    try:
        environment.loader.get_source(environment, f"{path}.sql")
    except jinja2.TemplateNotFound:
        return False
    return True


def statements_in(area: str) -> list[str]:
    """The names of the statements of an area, such as ``migrations``, in their order."""
    files = map(PurePosixPath, _environment().list_templates(extensions=["sql"]))
    return sorted(file.stem for file in files if str(file.parent) == area)


def missing() -> str:
    """What to do where the package's statements are nowhere; empty where they are somewhere."""
    if exists(MACROS):
        return ""
    packaged = Path(web_analytics.__file__).parent / PACKAGED
    return (
        f"a folder with the SQL of the package, which is neither in {packaged} nor in {SQL_ROOT}: copy the folder "
        f"include/sql of version {web_analytics.__version__} to one of these, or name it in {DIRECTORY_VARIABLE}"
    )


def _checked(name: str, value: str | int | bool | list[str]) -> str | int | bool | list[str]:
    if isinstance(value, (bool, int)):
        return value
    pattern = CLUSTER if name == "cluster" else IDENTIFIER
    for identifier in value if isinstance(value, list) else [value]:
        if not isinstance(identifier, str) or not re.fullmatch(pattern, identifier):
            raise ValueError(f"{name} is {identifier!r}, which is not a plain SQL identifier.")
    return value


def render(path: str, names: Names | None = None) -> str:
    """The statement at ``include/sql/<path>.sql`` with its identifiers filled in.

    :param path: for example ``build/fill_sessions``.
    :param names: identifiers, whole numbers and flags that the statement's template uses.
    :raises ValueError: a name is not a plain identifier.
    :raises jinja2.TemplateError: the file does not exist or uses a name that was not given.
    """
    checked = {name: _checked(name, value) for name, value in (names or {}).items()}
    return _environment().get_template(f"{path}.sql").render(checked)
