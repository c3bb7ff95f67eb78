"""Writes the tables of the documentation that follow from the code: settings, DAGs, what is retried; and from the figures of
``make bench-curve`` table and picture of how cost grows.

python docs/generate.py          rewrites them in place
python docs/generate.py --check  exit status 1 if one of them is not what the code says

Each table stands between the comments ``<!-- NAME:begin -->`` and ``<!-- NAME:end -->``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
README = CHECKOUT / "README.md"
OPERATIONS = CHECKOUT / "docs" / "operations.md"
PARAMS = CHECKOUT / "docs" / "params.md"
SCALING = CHECKOUT / "docs" / "scaling.md"
SETTINGS = CHECKOUT / "docs" / "settings.md"
GROWTH = CHECKOUT / "docs" / "pictures" / "growth.svg"


class MarkersMissing(ValueError):
    """A document has no place for a generated table."""

    def __init__(self, document: str, name: str):
        super().__init__(f"{document} has no line <!-- {name}:begin --> followed by <!-- {name}:end -->.")


def _import_from_here() -> None:
    for folder in (CHECKOUT / "plugins", CHECKOUT):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))


def load_dags() -> dict[str, Any]:
    """The DAGs of this checkout by id, in the order of their ids.

    :raises RuntimeError: a DAG file cannot be imported.
    """
    _import_from_here()
    os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
    os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "WARNING")
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(CHECKOUT / "dags"))
    if bag.import_errors:
        raise RuntimeError(f"DAG files with import errors: {bag.import_errors}")
    return dict(sorted(bag.dags.items()))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(header)
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(_cell(text) for text in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def settings_section() -> str:
    from web_analytics.settings import settings_table

    return table(
        ("Variable", "Default", "Accepted", "Meaning"),
        (
            (_code(variable), _code(default), accepted, meaning)
            for variable, default, accepted, meaning in settings_table()
        ),
    )


def schedule_of(dag: Any) -> str:
    """When Airflow starts the DAG by itself, in words for the README."""
    timetable = dag.timetable
    if condition := getattr(timetable, "asset_condition", None):
        names = ", ".join(_code(asset.name) for asset in condition.objects)
        return f"events of the asset {names}"
    parts = getattr(timetable, "_timetables", [timetable])
    crons = [part._expression for part in parts if getattr(part, "_expression", None)]
    if crons:
        zones = {str(getattr(part._timezone, "name", part._timezone)) for part in parts}
        return " and ".join(_code(cron) for cron in crons) + f" {', '.join(sorted(zones))}"
    return "manual" if dag.schedule is None else timetable.summary


def accepted_by(schema: Mapping[str, Any]) -> str:
    """A param's JSON schema in words."""
    kinds = schema.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    words = {"integer": "whole number", "array": "list", "string": "text", "boolean": "true or false"}
    text = " or ".join(words.get(kind, kind) for kind in kinds if kind != "null")
    if schema.get("format"):
        text = {"date": "date as YYYY-MM-DD"}.get(schema["format"], schema["format"])
    if "enum" in schema:
        text = "one of " + ", ".join(_code(str(value)) for value in schema["enum"] if value is not None)
    if "minimum" in schema and "maximum" in schema:
        text += f" from {schema['minimum']} to {schema['maximum']}"
    elif "minimum" in schema:
        text += f" from {schema['minimum']} up"
    if "items" in schema:
        of = schema["items"]
        text += f" of {accepted_by(of).removeprefix('one of ').replace('number', 'numbers')}"
    return text


def purpose_of(dag: Any) -> str:
    """The first sentence of the DAG's own documentation, after its heading."""
    text = " ".join(line for line in (dag.doc_md or "").splitlines() if not line.startswith("#"))
    return text.strip().split(". ")[0].rstrip(".") + "."


def default_of(param: Any) -> str:
    """A param's default in words."""
    from airflow.sdk.definitions._internal.types import ArgNotSet

    value = param.value
    if isinstance(value, ArgNotSet):
        return "none: it has to be given"
    return "empty" if value is None else _code({True: "true", False: "false"}.get(value, str(value)))


def dags_section() -> str:
    return table(
        ("DAG", "Schedule", "Params", "What it does"),
        (
            (
                _code(dag_id),
                schedule_of(dag),
                ", ".join(_code(name) for name in dag.params) or "none",
                purpose_of(dag),
            )
            for dag_id, dag in load_dags().items()
        ),
    )


def params_section() -> str:
    parts = []
    for dag_id, dag in load_dags().items():
        if dag.params:
            params = {name: dag.params.get_param(name) for name in dag.params}
            parts.append(f"## {_code(dag_id)}")
            parts.append(
                table(
                    ("Param", "Accepted", "Default", "Meaning"),
                    (
                        (
                            _code(name),
                            accepted_by(param.schema),
                            default_of(param),
                            param.description or "",
                        )
                        for name, param in params.items()
                    ),
                )
            )
    return "\n\n".join(parts)


def retries_section() -> str:
    from web_analytics.errors import CODES, Again

    def rows(then: str, *again: Again) -> list[tuple[str, str, str]]:
        by_meaning: dict[str, list[str]] = {}
        for code, known in CODES.items():
            if known.again in again:
                by_meaning.setdefault(known.meaning, []).append(_code(str(code)))
        return [(", ".join(listed), then, meaning) for meaning, listed in by_meaning.items()]

    anything_else = ("anything else", "is tried again", "unknown errors are taken for passing ones")
    return table(
        ("Code", "Then the task", "Because"),
        [
            *rows("fails at once", Again.NEVER),
            *rows("is tried again", Again.STATEMENT, Again.NEXT_TRY),
            anything_else,
        ],
    )


def metrics_section() -> str:
    from web_analytics.reporting.metrics import GAUGES, PREFIX

    return table(("Gauge", "Meaning"), ((_code(f"{PREFIX}.{name}"), text) for name, text in GAUGES.items()))


def growth_section() -> str:
    _import_from_here()
    from benchmarks import growth

    return growth.section(growth.read())


def growth_picture() -> str:
    _import_from_here()
    from benchmarks import growth

    return growth.picture(growth.read())


SECTIONS = {
    README: {"dags": dags_section},
    SETTINGS: {"settings": settings_section},
    OPERATIONS: {"retries": retries_section, "metrics": metrics_section},
    PARAMS: {"params": params_section},
    SCALING: {"growth": growth_section},
}
PICTURES = {GROWTH: growth_picture}


def generated(document: Path, text: str) -> str:
    """The document's text with every table as the code says it.

    :raises MarkersMissing: naming the table that has no place.
    """
    # The DAGs first: loading them puts the package on the path.
    for name, section in reversed(SECTIONS[document].items()):
        between = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
        if not between.search(text):
            raise MarkersMissing(document.name, name)
        content = section()
        text = between.sub(lambda found, new=content: f"{found[1]}{new}\n{found[2]}", text, count=1)
    return text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if something is out of date"
    )
    check = parser.parse_args(arguments).check
    outdated = 0
    for document in (*SECTIONS, *PICTURES):
        written = document.read_text(encoding="utf-8") if document.exists() else ""
        wanted = PICTURES[document]() if document in PICTURES else generated(document, written)
        if wanted == written:
            continue
        outdated += 1
        if check:
            print(f"{document.name} is not what the code says; run: python docs/generate.py", file=sys.stderr)
        else:
            document.write_text(wanted, encoding="utf-8")
    return 1 if check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
