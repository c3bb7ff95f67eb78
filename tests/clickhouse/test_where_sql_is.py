"""The statements are found beside the package, inside it (also in a zip file) and where WEB_ANALYTICS_SQL_DIR says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from web_analytics import __version__

SQL = CHECKOUT / "include" / "sql"
ASK = """
import json
from web_analytics.clickhouse import sql
from web_analytics.errors import BadSetting
from web_analytics.settings import Settings, strategy_names
try:
    loaded = Settings.load().source
except BadSetting as refused:
    loaded = str(refused)
print(json.dumps({
    "source": loaded,
    "migrations": sql.statements_in("migrations"),
    "oracle": sql.exists("validation/oracle_posthog"),
    "strategies": strategy_names(),
    "mine": sql.exists("source/mine") and sql.render("source/mine"),
    "view": sql.exists("source/posthog") and sql.render("source/posthog", {"materialized_columns": [], "is_distributed": False}),
}))
"""


def ask(installed: Path, **environment: str) -> dict:
    """What a process finds that has the package at a place, and nothing else of this checkout."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        cwd=installed.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return json.loads(done.stdout)


@pytest.fixture
def installed(tmp_path) -> Path:
    """A folder with the package alone."""
    folder = tmp_path / "site"
    shutil.copytree(
        CHECKOUT / "plugins" / "web_analytics",
        folder / "web_analytics",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    return folder


@pytest.fixture
def zipped(installed) -> Path:
    shutil.copytree(SQL, installed / "web_analytics" / "sql")
    file = installed.with_suffix(".zip")
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(installed.rglob("*")):
            archive.write(path, path.relative_to(installed))
    return file


@pytest.fixture(scope="module")
def expected() -> dict:
    return ask(CHECKOUT / "plugins")


def test_the_checkout_has_it_beside_the_package(expected):
    assert expected["source"] == "posthog"
    assert expected["migrations"] == sorted(file.stem for file in (SQL / "migrations").glob("*.sql"))
    assert expected["oracle"]
    assert "CREATE OR REPLACE VIEW" in expected["view"]


def test_inside_the_package(installed, expected):
    shutil.copytree(SQL, installed / "web_analytics" / "sql")
    assert ask(installed) == expected


def test_inside_a_zip_file(zipped, expected):
    assert ask(zipped) == expected


def test_elsewhere(installed, expected):
    assert ask(installed, WEB_ANALYTICS_SQL_DIR=str(SQL)) == expected


def test_what_is_inside_wins_over_what_stands_beside_so_that_two_versions_never_mix(installed, expected):
    shutil.copytree(SQL, installed / "web_analytics" / "sql")
    beside = installed.parent / "include" / "sql"
    (beside / "migrations").mkdir(parents=True)
    (beside / "macros.sql").write_text("")
    (beside / "migrations" / "9999_of_another_version.sql").write_text("")
    assert ask(installed) == expected


def test_a_user_s_own_statements_go_over_the_package_s(zipped, tmp_path, expected):
    own = tmp_path / "own" / "source"
    own.mkdir(parents=True)
    (own / "mine.sql").write_text("{% import 'macros.sql' as macros %}SELECT 1")
    (own / "posthog.sql").write_text("SELECT 2")
    found = ask(zipped, WEB_ANALYTICS_SQL_DIR=str(own.parent), WEB_ANALYTICS_SOURCE="mine")
    assert found == {**expected, "source": "mine", "mine": "SELECT 1", "view": "SELECT 2"}


def test_where_it_is_nowhere_the_message_says_where_was_looked_and_what_to_copy(installed):
    message = ask(installed)["source"]
    assert message.startswith("WEB_ANALYTICS_SQL_DIR is ''; accepted: a folder with the SQL of the package")
    for place in (installed / "web_analytics" / "sql", installed.parent / "include" / "sql"):
        assert str(place) in message
    assert f"copy the folder include/sql of version {__version__}" in message
