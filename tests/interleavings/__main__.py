"""Every interleaving: ``python -m tests.interleavings``. See tests/interleavings/README.md."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.interleavings import cases, world
from tests.interleavings.cases import Case, Recording
from tests.interleavings.door import Statement
from tests.interleavings.play import COUNTS

CHECKOUT = Path(__file__).resolve().parents[2]
SHOWN = 12


def parts_of(text: str) -> tuple[range, int]:
    """``3/24`` as the third of 24, ``3-8/24`` as the third to the eighth of them."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?/(\d+)", text)
    if found:
        first, last, count = int(found[1]), int(found[2] or found[1]), int(found[3])
        if 1 <= first <= last <= count:
            return range(first, last + 1), count
    raise argparse.ArgumentTypeError(f"{text!r} is no part such as 3/24 or 3-8/24")


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.interleavings", description=__doc__)
    parser.add_argument("--stops", type=int, choices=[1, 2], default=1, help="how many actors are stopped")
    parser.add_argument("--samples", type=int, help="so many drawn by the seed; with one stop: all")
    parser.add_argument(
        "--part",
        type=parts_of,
        default=(range(1, 2), 1),
        help="3/24: the third of 24 parts of all; 3-8/24: several, one after the other",
    )
    parser.add_argument(
        "--listener", action="store_true", help="on ClickHouse's own listener, one for each worker; needs npm"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", nargs="+", choices=world.KINDS, default=list(world.KINDS))
    parser.add_argument("--subjects", nargs="+", choices=cases.SUBJECTS, default=list(cases.SUBJECTS))
    parser.add_argument(
        "--intruders", nargs="+", default=[], help="only these, by the beginning of their names"
    )
    parser.add_argument("--case", nargs="+", help="only these, as failed ones were told")
    parser.add_argument("--without-restarts", action="store_true", help="leave the server running")
    parser.add_argument("--jobs", type=int, default=2, help="workers side by side")
    parser.add_argument("--experiment", help="take a safeguard away, and stop at the first case that fails")
    parser.add_argument("--failures", type=Path, help="write all that failed there, one JSON line each")
    return parser.parse_args(argv)


class WorkerProcess:
    """A worker, asked one thing at a time."""

    def __init__(self, home: Path, name: str, on_listener: bool, experiment: str | None):
        home.mkdir(parents=True)
        command = [sys.executable, "-m", "tests.interleavings.worker", str(home), name]
        command += ["--listener"] if on_listener else []
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("WEB_ANALYTICS_")},
            "AIRFLOW_HOME": str(home / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "SCARF_ANALYTICS": "false",
            "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "plugins")]),
        }
        self.log = home / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command + ([experiment] if experiment else []),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, cwd=CHECKOUT, env=environment, text=True,
            )  # fmt: skip

    def pin(self, core: int) -> None:
        """Keeps the worker and its server on one core: they take turns, and wake each other sooner there."""
        os.sched_setaffinity(self.process.pid, {core})

    def ask(self, **request: Any) -> Any:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        if not (line := self.process.stdout.readline()):
            raise RuntimeError(f"a worker ended at {request}: {self.log.read_text()[-2000:]}")
        return json.loads(line)

    def recording(self, kind: str, subject: str) -> Recording:
        answer = self.ask(record=[kind, subject])
        return {step: [Statement(**each) for each in found] for step, found in answer.items()}

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait(30)


def record(
    workers: list[WorkerProcess], wanted: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], Recording]:
    """The undisturbed runs of each subject in each world, by all workers side by side."""
    found: dict[tuple[str, str], Recording] = {}
    todo = list(wanted)

    def drive(worker: WorkerProcess, mine: list[tuple[str, str]]) -> None:
        for key in mine:
            found[key] = worker.recording(*key)

    with ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(drive, worker, todo[i :: len(workers)]) for i, worker in enumerate(workers)]:
            done.result()
    return {key: found[key] for key in todo}


def parts(options: argparse.Namespace, workers: list[WorkerProcess]) -> Iterator[Iterable[list[Case]]]:
    """What is to be played, part by part: cases that differ only in how the first actor ends are played together."""
    if options.case:
        yield [[Case.parse(text)] for text in options.case]
        return
    subjects = [(kind, subject) for kind in options.worlds for subject in options.subjects]
    intruders = [(kind, subject) for kind in options.worlds for subject in cases.ACTING_AS]
    needed = record(workers, dict.fromkeys([*subjects, *(intruders if options.stops == 2 else [])]))
    recordings = {key: needed[key] for key in subjects}
    numbers, count = options.part
    if options.stops == 2:
        drawn = list(cases.with_two_stops(recordings, needed, options.seed, options.samples or 5000))
        for number in numbers:
            yield [[case] for case in drawn[number - 1 :: count]]
        return
    restarts = not options.without_restarts and (options.listener or "CLICKHOUSE_TEST_URL" not in os.environ)
    found = [
        case
        for case in cases.with_one_stop(recordings, restarts)
        if not options.intruders or case.intruder.startswith(tuple(options.intruders))
    ]
    groups = [
        list(each)
        for _, each in itertools.groupby(
            found, lambda c: (c.world, c.subject, c.first.step, c.first.at, c.intruder)
        )
    ]
    # What is found is found early, and a part of them is a fair part.
    random.Random(options.seed).shuffle(groups)
    for number in numbers:
        yield groups[number - 1 :: count][: options.samples]


def play(groups: Iterable[list[Case]], workers: list[WorkerProcess]) -> Iterator[dict[str, Any]]:
    todo = iter(groups)
    lock, results = threading.Lock(), queue.Queue()
    stopped = threading.Event()

    def drive(worker: WorkerProcess) -> None:
        try:
            while not stopped.is_set():
                with lock:
                    group = next(todo, None)
                if group is None:
                    break
                for outcome in worker.ask(play=[str(case) for case in group]):
                    results.put(outcome)
        except Exception as error:
            results.put({"case": str(group[0]), "error": repr(error), "told": []})
        finally:
            results.put(None)

    threads = [threading.Thread(target=drive, args=[worker], daemon=True) for worker in workers]
    for thread in threads:
        thread.start()
    working = len(workers)
    try:
        while working:
            outcome = results.get()
            if outcome is None:
                working -= 1
            else:
                yield outcome
    finally:
        stopped.set()


def has_failed(outcome: dict[str, Any]) -> bool:
    return bool(outcome.get("error")) or any(outcome.get(name) for name in COUNTS)


def run(options: argparse.Namespace, home: Path) -> bool:
    name = f"{os.getpid()}"
    jobs = 1 if options.case and len(options.case) == 1 else options.jobs
    workers = [
        WorkerProcess(home / f"worker_{i}", f"{name}_{i}", options.listener, options.experiment)
        for i in range(jobs)
    ]
    if jobs > 1 and hasattr(os, "sched_getaffinity"):
        for worker, core in zip(workers, itertools.cycle(os.sched_getaffinity(0)), strict=False):
            worker.pin(core)
    totals = dict.fromkeys(COUNTS, 0)
    played = failed = unreached = known = 0
    began = time.monotonic()
    try:
        for outcome in _all_outcomes(options, workers):
            played += 1
            unreached += not outcome.get("reached", True)
            known += outcome.get("is_known", False)
            for each in COUNTS:
                totals[each] += outcome.get(each, 0)
            if has_failed(outcome):
                failed += 1
                _print_failure(outcome, failed <= SHOWN or bool(options.case))
                if options.failures:
                    with options.failures.open("a") as file:
                        file.write(json.dumps(outcome) + "\n")
                if options.experiment:
                    break
            elif options.case:
                print("\n".join(outcome["told"]))
            if played % 200 == 0:
                print(f"… {played} in {time.monotonic() - began:.0f} s, {failed} failed", flush=True)
    finally:
        for worker in workers:
            worker.stop()
    seconds = time.monotonic() - began
    print(f"{seconds:.0f} s, {seconds / max(1, played):.2f} s an interleaving; {failed} failed")
    print(f"{known} ended in a state that the last run of another has healed")
    if unreached:
        print(f"{unreached} came to their end before a stop")
    if options.experiment:
        print(
            f"Experiment {options.experiment}: {'red' if failed else 'not red'} after {played} interleavings"
        )
    print(f"interleavings={played} " + " ".join(f"{each}={totals[each]}" for each in COUNTS), flush=True)
    return not failed


def _all_outcomes(options: argparse.Namespace, workers: list[WorkerProcess]) -> Iterator[dict[str, Any]]:
    """Of one part after the other: whoever breaks off knows which were played to their end."""
    numbers, count = options.part
    for number, groups in zip(numbers, parts(options, workers), strict=False):
        yield from play(groups, workers)
        if len(numbers) > 1:
            print(f"Part {number} of {count} is over.", flush=True)


def _print_failure(outcome: dict[str, Any], in_full: bool) -> None:
    counts = " ".join(f"{each}={outcome[each]}" for each in COUNTS if outcome.get(each))
    print(f"CASE={outcome['case']} {counts}{outcome.get('error', '')}", flush=True)
    if in_full:
        for line in outcome.get("told", []):
            print(f"  {line}"[: 3000 if outcome.get("error") else 400], flush=True)


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the workers end too
    home = Path(tempfile.mkdtemp(prefix="interleavings-"))
    passed = False
    try:
        passed = run(options, home)
    finally:
        shutil.rmtree(home, ignore_errors=True) if passed else print(f"logs: {home}", file=sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
