"""What the scheduler imports before it forks the processes of its tasks."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import CHECKOUT
from web_analytics.wiring.job_listener import IMPORTED_BY_TASKS

NEW_MODULES = """
import importlib, runpy, sys
for module in sys.argv[2:]:
    importlib.import_module(module)
before = set(sys.modules)
runpy.run_path(sys.argv[1])
print(*sorted(name for name in set(sys.modules) - before if name.startswith("web_analytics")))
"""


@pytest.mark.parametrize("dag", ["web_analytics_backfill", "web_analytics_team_backfill"])
def test_what_the_dag_files_of_builds_import_is_there_already(dag):
    done = subprocess.run(
        [sys.executable, "-c", NEW_MODULES, CHECKOUT / "dags" / f"{dag}.py", *IMPORTED_BY_TASKS],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == ""
