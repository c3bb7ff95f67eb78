"""A spread of the interleavings, chosen by a seed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SUMMARY = re.compile(r"interleavings=(\d+)((?: \w+=0)+)")


@pytest.mark.slow
@pytest.mark.parametrize(("stops", "samples", "at_least"), [(1, 40, 40), (2, 25, 25)])
def test_a_spread_of_the_interleavings_loses_doubles_and_leaves_nothing(stops, samples, at_least):
    command = [sys.executable, "-m", "tests.interleavings", "--stops", str(stops), "--samples", str(samples)]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1200)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = SUMMARY.fullmatch(finished.stdout.splitlines()[-1])
    assert summary
    assert int(summary[1]) >= at_least
