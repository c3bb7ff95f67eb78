"""A spread of the interleavings, chosen by a seed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SUMMARY = re.compile(r"interleavings=(\d+)((?: \w+=0)+)")


# Each of these was red once, or is without a safeguard.
ONCE_FOUND = (
    # two tries of publish shared the clone
    "full/build/publish:attach_partition.2:frozen/retry/publish:create_like_target.2:frozen/intruder-last",
    # two tries of an insert shared the fresh table
    "full/build/insert_stats:insert_stats:frozen/retry/publish:create_like_target:frozen/intruder-last",
    # an empty day was dropped in place
    "empty/build/publish:replace_partition:frozen/takeover",
    # a takeover that broke off did not fence
    "full/build/publish:replace_partition:frozen/deletion/lock:list_tables_of_date.2:killed/intruder-again",
    # the same, with a lost answer
    "full/build/publish:replace_partition:frozen/deletion/lock:create_lock:lost/intruder-first",
    # what was deleted and proved was built again
    "full/build/stage:list_tables_of_date:frozen/waiting-deletion",
    # a publish that was repeated broke off between two replacements
    "moving/build/publish:insert_log:killed/retry/publish:replace_partition.2:killed/intruder-last",
    # a validation read one table before a publishing and the other after it
    "moving/watch/validate:stored_measures.2:frozen/takeover",
    # a validation read the tables before a publishing and the source, which had got events, after it
    "moving/watch/validate:oracle_posthog:frozen/takeover",
    "moving/build/validate:oracle_posthog:frozen/expired",
    # a team was deleted after the validation had chosen it
    "full/watch/validate:ledger_entries:frozen/deletion",
    "full/watch/validate:stored_measures:frozen/deletion/lock:fill_build_teams:killed/intruder-again",
    # one api-server undid another's change
    "full/registry/change:insert_registered:frozen/change",
    # the same, by a request that arrived late
    "full/registry/change:insert_registered:late/deletion",
    # a rename whose answer was lost failed for good
    "full/build/publish:rename_tables:lost/nobody",
    # a statement that was still on its way when the date was taken over
    "moving/build/publish:replace_partition.2:late/takeover",
    # a stage that woke up dropped the tables of the next try
    "full/build/stage:create_build_teams:frozen/retry/insert_stats:insert_stats:frozen/intruder-last",
)


def play(*options: str) -> int:
    """:returns: how many interleavings were played; all of them went well."""
    command = [sys.executable, "-m", "tests.interleavings", *options]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1800)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    summary = SUMMARY.fullmatch(finished.stdout.splitlines()[-1])
    assert summary
    assert "before a stop" not in finished.stdout or "--samples" in options
    return int(summary[1])


@pytest.mark.slow
def test_what_was_found_once_stays_mended():
    assert play("--case", *ONCE_FOUND) == len(ONCE_FOUND)


@pytest.mark.slow
@pytest.mark.parametrize(("stops", "samples"), [(1, 24), (2, 12)])
def test_a_spread_of_the_interleavings_loses_doubles_and_leaves_nothing(stops, samples):
    assert play("--stops", str(stops), "--samples", str(samples)) >= samples


@pytest.mark.slow
@pytest.mark.parametrize(
    ("experiment", "case"),
    [
        ("no-names-of-tries", ONCE_FOUND[1]),
        ("empty-days-are-dropped", ONCE_FOUND[2]),
        ("no-fence-of-takeovers", ONCE_FOUND[3]),
        ("no-selection-at-publishing", ONCE_FOUND[5]),
        ("no-compare-and-set", ONCE_FOUND[12]),
        (
            "stage-drops-what-it-finds",
            # it looks at the tables once more
            "full/build/stage:list_tables_of_date.3:frozen/retry/insert_stats:insert_stats:frozen/intruder-last",
        ),
    ],
)
def test_without_a_safeguard_it_is_red(experiment, case):
    command = [
        sys.executable,
        "-m",
        "tests.interleavings",
        "--experiment",
        experiment,
        "--case",
        case,
    ]
    finished = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=1800)
    assert finished.returncode == 1
    assert f"Experiment {experiment}: red" in finished.stdout
