"""render() fills in identifiers and nothing else; no SQL hides in Python."""

from __future__ import annotations

import ast
import re

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CHECKOUT
from tests.support import examples
from web_analytics.clickhouse import sql

IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)


@given(
    text=st.one_of(st.text(max_size=30), st.from_regex(IDENTIFIER), st.text("aZ_$09 '`\";-.\n", max_size=12))
)
@examples(300)
def test_a_name_is_a_plain_identifier_or_refused(text):
    if IDENTIFIER.fullmatch(text) and len(text) <= 200:
        assert text in sql.render("benchmarks/truncate", {"table": text})
    else:
        with pytest.raises(ValueError, match="table is .* not a plain SQL identifier"):
            sql.render("benchmarks/truncate", {"table": text})


@pytest.mark.parametrize(
    "value", [None, 1.5, b"events", ("events",), {"a": 1}, ["ok", "not ok"], ["ok", None]]
)
def test_other_types_are_refused(value):
    with pytest.raises((ValueError, TypeError)):
        sql.render("benchmarks/truncate", {"table": value})


def test_a_missing_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        sql.render("benchmarks/truncate")


@pytest.mark.parametrize(
    "path", ["backfill/nothing", "../sql/backfill/truncate", "/etc/passwd", "../../README"]
)
def test_only_files_of_include_sql_are_rendered(path):
    with pytest.raises(jinja2.TemplateNotFound):
        sql.render(path)


SQL_IN_CAPITALS = re.compile(
    r"\b(SELECT|INSERT|ALTER|CREATE|DROP|DELETE|TRUNCATE|OPTIMIZE|RENAME|EXCHANGE|KILL QUERY|GROUP BY|UNION ALL"
    r"|ATTACH|DETACH|SYSTEM)\b"
)
SQL_IN_ANY_CASE = re.compile(
    r"\b(select\s.+\sfrom\s|insert\s+into|alter\s+table|(create|drop|truncate)\s+(table|view|database|dictionary)"
    r"|delete\s+from|optimize\s+table|kill\s+query)\b",
    re.IGNORECASE | re.DOTALL,
)


def strings_in(code: str) -> list[tuple[int, str]]:
    """(line, text) of every string constant that is not a docstring."""
    tree = ast.parse(code)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def sql_in(code: str) -> list[tuple[int, str]]:
    """Regular expressions that recognise a statement are none."""
    return [
        (line, text)
        for line, text in strings_in(code)
        if "(?:" not in text and (SQL_IN_CAPITALS.search(text) or SQL_IN_ANY_CASE.search(text))
    ]


CODE = sorted(
    path.relative_to(CHECKOUT).as_posix()
    for folder in ("plugins", "dags")
    for path in (CHECKOUT / folder).rglob("*.py")
)


@pytest.mark.parametrize("file", CODE)
def test_no_sql_in_python(file):
    assert sql_in((CHECKOUT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "code",
    [
        'x = "SELECT 1"',
        'f"DROP TABLE {name}"',
        'client.execute("select a from b where c")',
        'query = (\n"insert "\n"into x values")',
    ],
)
def test_sql_in_python_would_be_seen(code):
    assert sql_in(code)


def test_prose_is_not_sql():
    assert sql_in('"""SELECT in a docstring."""\nx = "drop the table and select teams"') == []
