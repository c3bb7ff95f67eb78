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
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import jinja2

import web_analytics

DIRECTORY_VARIABLE = "WEB_ANALYTICS_SQL_DIR"
# Beside the folder of the package, as in the repository.
SQL_ROOT = Path(__file__).resolve().parents[3] / "include" / "sql"
# Every statement with a macro needs it: a folder without it is no copy of the package's.
MACROS = "macros.sql"

Names = dict[str, "str | int | bool | list[str]"]

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]{0,199}")


def _packaged() -> Traversable:
    """In a wheel or a zip file, not always a folder."""
    return resources.files(web_analytics) / "sql"


def roots() -> tuple[Traversable, ...]:
    """Where a statement is looked for; the first place that has it counts.

    The package's own statements come from one place, so that two versions never mix: from inside the package where
    they are there, else from beside it.
    """
    own = _packaged() if (_packaged() / MACROS).is_file() else SQL_ROOT
    given = os.environ.get(DIRECTORY_VARIABLE, "").strip()
    return (Path(given), own) if given else (own,)


def missing() -> str:
    """What to do where the package's statements are nowhere; empty where they are somewhere."""
    if any((root / MACROS).is_file() for root in roots()):
        return ""
    return (
        f"a folder with the SQL of the package, which is neither in {_packaged()} nor in {SQL_ROOT}: copy the folder "
        f"include/sql of version {web_analytics.__version__} to one of these, or name it in {DIRECTORY_VARIABLE}"
    )


def _file(name: str) -> Traversable | None:
    """The file of that name below the first root that has it; None also for a name that leads out of a root."""
    parts = name.split("/")
    if not all(parts) or {".", ".."} & set(parts) or "\\" in name:
        return None
    return next((file for root in roots() if (file := root.joinpath(*parts)).is_file()), None)


def exists(path: str) -> bool:
    """Whether there is a statement ``<path>.sql``."""
    return _file(f"{path}.sql") is not None


def statements_in(area: str) -> list[str]:
    """The names of the statements of an area, such as ``migrations``, in their order."""
    folders = [root / area for root in roots()]
    files = {file.name for folder in folders if folder.is_dir() for file in folder.iterdir()}
    return sorted(name.removesuffix(".sql") for name in files if name.endswith(".sql"))


def _text(name: str) -> str | None:
    file = _file(name)
    return None if file is None else file.read_text(encoding="utf-8")


@cache
def _environment(directory: str) -> jinja2.Environment:
    """What was rendered once stays as it is while the process lives, as the modules that use it do.

    :param directory: WEB_ANALYTICS_SQL_DIR, for which the templates are kept.
    """
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
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
    environment = _environment(os.environ.get(DIRECTORY_VARIABLE, "").strip())
    return environment.get_template(f"{path}.sql").render(checked)
