"""What a dashboard's reader feels of a backfill: its latency beside builds against alone, in short turns of one run.

On a shared machine two halves of a run cannot be compared: whatever else runs is different in each. Here every build is
followed by as long a turn without one, and by one beside a process that only counts, as the least urgent of all: what
that one costs the reader is the machine's, and no setting of a query can take it away.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Mapping
from datetime import date
from typing import Any

from web_analytics.build import steps
from web_analytics.clickhouse.connection import HEAVY_DEFAULTS, ClickHouse

# Settings of the builds that are measured, instead of those that they have by default.
KNOBS: dict[str, Mapping[str, Any]] = {
    "server_defaults": {"max_threads": 0, "os_thread_priority": 0},
    "max_threads_1": {"os_thread_priority": 0},
    "os_thread_priority_19": {"max_threads": 0},
    "priority_10": {"priority": 10},
    "default": {},
}
LONGEST_SECONDS = 600


class Reader:
    """Asks one query of a dashboard after the other, in a thread of its own.

    :ivar turn: what goes on beside it; of a query during which that changed, nothing is kept.
    """

    def __init__(self, clickhouse: ClickHouse, days: list[date]):
        self.turn = ""
        self.seconds: dict[str, list[float]] = {"alone": [], "beside": [], "counting": []}
        self._parameters = {"date_start": min(days), "date_end": max(days), "team_ids": []}
        self._clickhouse = clickhouse
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            turn, started = self.turn, time.monotonic()
            self._clickhouse.query("validation/oracle_stored_stats", self._parameters)
            if turn and turn == self.turn:
                self.seconds[turn].append(time.monotonic() - started)
            time.sleep(0.005)


def in_turns(
    reading: ClickHouse, building: ClickHouse, settings, days: list[date], teams, queries: int
) -> dict[str, list[float]]:
    """Seconds of the reader's queries, by what went on beside them: of each at least so many, unless that takes too long."""
    with Reader(reading, days) as reader:
        until, took = time.monotonic() + LONGEST_SECONDS, 1.0
        while min(map(len, reader.seconds.values())) < queries and time.monotonic() < until:
            reader.turn = "alone"
            time.sleep(took)
            reader.turn, started = "beside", time.monotonic()
            steps.build_partition(building, settings, days[0], teams)
            took = time.monotonic() - started
            reader.turn = ""
            with somebody_who_counts():
                reader.turn = "counting"
                time.sleep(took)
                reader.turn = ""
        reader.turn = ""
    return reader.seconds


@contextlib.contextmanager
def somebody_who_counts() -> Generator[None, None, None]:
    """One thread with nothing to wait for, as nice as a build's."""
    process = subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)  # it has started
        yield
    finally:
        process.kill()
        process.wait()


def measure(
    reading: ClickHouse, building: ClickHouse, settings, days: list[date], teams, queries: int, name: str
) -> dict[str, float]:
    """Median and 99th percentile alone, how much longer they are beside a build, and beside somebody who counts.

    :param name: of the settings of the builds: one of KNOBS.
    """
    building.heavy_settings = {**HEAVY_DEFAULTS, **KNOBS[name]}
    found = in_turns(reading, building, settings, days, teams, queries)
    prefix = "reader" if name == "default" else f"reader_{name}"
    results: dict[str, float] = {f"{prefix}_queries": min(map(len, found.values()))}
    for measure_name, of in (("median", statistics.median), ("p99", percentile_99)):
        alone = of(found["alone"])
        results[f"{prefix}_{measure_name}_alone_ms"] = alone * 1000
        results[f"{prefix}_{measure_name}_ratio"] = of(found["beside"]) / alone
        results[f"{prefix}_{measure_name}_ratio_counting"] = of(found["counting"]) / alone
    return results


def percentile_99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
