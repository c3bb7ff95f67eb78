"""The layers of docs/architecture.md hold, and one import against them is seen."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT

PACKAGE = CHECKOUT / "plugins" / "web_analytics"
DAG_FILES = sorted((CHECKOUT / "dags").glob("*.py"))


def lint(plugins: Path) -> subprocess.CompletedProcess[str]:
    """What `make lint` does for the package in a folder."""
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(plugins), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_nothing_is_imported_against_the_layers():
    done = lint(PACKAGE.parent)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("room", "statement", "broken"),
    [
        ("detection/detector.py", "from web_analytics.teams import selection", "Nothing imports upwards"),
        ("clickhouse/sql.py", "from web_analytics import settings", "Nothing imports upwards"),
        ("build/locks.py", "from web_analytics.reporting import alerts", "Nothing imports upwards"),
        ("api/teams.py", "from web_analytics.build import locks", "The API neither builds nor runs tasks"),
        ("rules/gaps.py", "import os", "Rules are pure"),
        ("settings.py", "import embedded_clickhouse", "The package runs without"),
        ("attic.py", "", "attic"),
    ],
)
def test_one_wrong_import_is_seen(tmp_path, room, statement, broken):
    """Also a room that no layer names."""
    copy = tmp_path / "web_analytics"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "static"))
    with (copy / room).open("a") as file:
        file.write(f"\n{statement}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert any(broken in line and "KEPT" not in line for line in done.stdout.splitlines()), done.stdout


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda file: file.stem)
def test_a_dag_file_imports_at_its_top_what_it_is_wired_with_and_tasks_within_tasks(file):
    at_the_top = {
        name
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
        )
        if name and name.startswith("web_analytics")
    }
    for name in at_the_top:
        _, room, *_ = [*name.split("."), ""]
        assert room in {"wiring", "reporting"} or (PACKAGE / f"{room}.py").is_file(), name
