"""Loads the statements in ``include/sql``.

Identifiers (table and column names) are filled in here, from an allow-list of forms. Values are never
rendered: a statement writes ``%(name)s`` and the driver puts the escaped value there. A literal percent
sign is therefore written ``%%``.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import jinja2

SQL_ROOT = Path(__file__).resolve().parents[3] / "include" / "sql"

Names = dict[str, "str | int | bool | list[str]"]

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,199}")


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SQL_ROOT),
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    environment.globals["topology"] = "single"
    return environment


def _checked(name: str, value: str | int | bool | list[str]) -> str | int | bool | list[str]:
    if isinstance(value, (bool, int)):
        return value
    for identifier in value if isinstance(value, list) else [value]:
        if not isinstance(identifier, str) or not _IDENTIFIER.fullmatch(identifier):
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
