"""A seeded part of the chaos suite."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SUMMARY = re.compile(r"trials=(\d+) faults=(\d+) recovered=(\d+) lost=0 duplicated=0 leftovers=0")


@pytest.mark.slow
def test_twenty_trials_lose_double_and_leave_nothing():
    command = [sys.executable, "-m", "tests.chaos", "--trials", "20", "--seed", "7", "--jobs", "2"]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1200)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = SUMMARY.fullmatch(finished.stdout.splitlines()[-1])
    assert summary
    assert int(summary[1]) == int(summary[3]) == 20
    assert int(summary[2]) >= 20
