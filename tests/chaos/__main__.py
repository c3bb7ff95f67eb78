"""Fault injection: ``python -m tests.chaos --trials 200 --seed 1``. See tests/chaos/README.md."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.chaos.faults import KINDS, KINDS_AROUND_STATEMENTS, SCHEDULER_KIND

CHECKOUT = Path(__file__).resolve().parents[2]
EXPERIMENT_NAMES = ("no-lock", "no-verify", "async-delete", "async-delete-unchecked", "no-replace")
SERVER_NAMES = ("embedded", "listener", "listener-http", "given")
START_SECONDS = 300
SILENCE_SECONDS = 1380  # longer than a trial may take: then its worker itself hangs


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, metavar="K", help="repeat trial K of the seed alone")
    parser.add_argument(
        "--kinds", nargs="+", choices=[*KINDS, SCHEDULER_KIND], default=[], help="only these faults"
    )
    parser.add_argument(
        "--server",
        nargs="+",
        choices=SERVER_NAMES,
        default=["embedded"],
        help="another server, which can be killed, but no statement made to fail; several take turns",
    )
    parser.add_argument(
        "--without-scheduler", action="store_true", help="do not let every 40th trial kill a real scheduler"
    )
    parser.add_argument("--jobs", type=int, default=1, help="workers side by side, at least one a server")
    parser.add_argument("--home", type=Path, help="keep data and logs there instead of a temporary directory")
    parser.add_argument(
        "--experiment", choices=EXPERIMENT_NAMES, help="remove a safeguard and stop at the first failed trial"
    )
    parser.add_argument(
        "--transient-failures",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="let this share of queries fail",
    )
    options = parser.parse_args(argv)
    is_embedded = options.server == ["embedded"]
    possible = KINDS if is_embedded else KINDS_AROUND_STATEMENTS
    options.kinds = options.kinds or list(possible)
    if refused := set(options.kinds) - {*possible, SCHEDULER_KIND}:
        parser.error(f"--kinds {' '.join(sorted(refused))} need --server embedded")
    if not is_embedded and (options.experiment or options.transient_failures):
        parser.error("--experiment and --transient-failures need --server embedded")
    return options


def kinds_of_trials(options: argparse.Namespace, trials: int) -> list[tuple[int, str]]:
    """Every kind equally often, in an order of the seed; trial K is the same however many there are."""
    seed, kinds = options.seed, options.kinds
    scheduler_trials = not (options.without_scheduler or options.experiment or options.transient_failures)
    drawn = []
    for number in range(trials):
        block, position = divmod(number, len(kinds))
        shuffled = random.Random(f"{seed}:block {block}").sample(kinds, len(kinds))
        with_scheduler = scheduler_trials and number % 40 == 39
        drawn.append((number, SCHEDULER_KIND if with_scheduler else shuffled[position]))
    return drawn


class WorkerProcess:
    """A worker and its trials. A worker that hangs or dies is replaced; the trial it was at has failed."""

    def __init__(self, options: argparse.Namespace, home: Path, server: str, trials: list[tuple[int, str]]):
        self._options, self._home, self._server, self._todo = options, home, server, list(trials)
        self._starts = 0
        self._start()

    def _start(self) -> None:
        self._starts += 1
        home = self._home / f"start_{self._starts}"
        home.mkdir(parents=True)
        command = [sys.executable, "-m", "tests.chaos.worker", "--home", str(home)]
        command += ["--seed", str(self._options.seed), "--trials", json.dumps(self._todo)]
        command += ["--server", self._server]
        if self._options.experiment:
            command += ["--experiment", self._options.experiment]
        if self._options.transient_failures:
            command += ["--transient-failures", str(self._options.transient_failures)]
        with (home / "worker.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd=CHECKOUT,
                start_new_session=True,
            )  # fmt: skip
        self._deadline = time.monotonic() + START_SECONDS + SILENCE_SECONDS
        self._unread = b""

    @property
    def is_done(self) -> bool:
        return not self._todo

    def results(self) -> list[dict[str, Any]]:
        """What has become known since the last call."""
        chunk = os.read(self.process.stdout.fileno(), 1 << 20)
        if not chunk:
            return self._fail("its worker died")
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        found = [json.loads(line) for line in lines]
        done = {result["number"] for result in found}
        self._todo = [trial for trial in self._todo if trial[0] not in done]
        self._deadline = time.monotonic() + SILENCE_SECONDS
        return found

    def check(self) -> list[dict[str, Any]]:
        return self._fail("its worker hung") if time.monotonic() > self._deadline else []

    def _fail(self, error: str) -> list[dict[str, Any]]:
        self.kill()
        if not self._todo:
            return []
        (number, kind), *self._todo = self._todo
        if self._todo and self._starts < 5:
            self._start()
        failed = [{"number": number, "kinds": [kind], "error": error}]
        if self._starts >= 5:
            failed += [{"number": n, "kinds": [k], "error": "not tried"} for n, k in self._todo]
            self._todo = []
        return failed

    def kill(self) -> None:
        """With its runs; its servers see that it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def run(options: argparse.Namespace, home: Path) -> bool:
    trials = kinds_of_trials(options, options.trials)
    if options.only is not None:
        trials = [kinds_of_trials(options, options.only + 1)[-1]]
    workers = []
    for server in options.server:
        its_own = [each for each in trials if options.server[each[0] % len(options.server)] == server]
        jobs = min(max(1, options.jobs // len(options.server)), len(its_own))
        workers += [
            WorkerProcess(options, home / f"{server}_{i}", server, its_own[i::jobs]) for i in range(jobs)
        ]
    results: list[dict[str, Any]] = []
    try:
        while any(not worker.is_done for worker in workers):
            busy = {w.process.stdout.fileno(): w for w in workers if not w.is_done}
            readable, _, _ = select.select(list(busy), [], [], 5)
            for each in [w.results() for fd, w in busy.items() if fd in readable] + [
                w.check() for fd, w in busy.items() if fd not in readable
            ]:
                for result in each:
                    results.append(result)
                    _print_trial(result, options.seed)
            if options.experiment and any(_has_failed(result) for result in results):
                break
        for worker in workers:
            if worker.is_done:
                worker.process.wait(60)
    finally:
        for worker in workers:
            worker.kill()
    return _print_summary(options, results)


def _has_failed(result: dict[str, Any]) -> bool:
    return bool(
        result.get("error") or result.get("lost") or result.get("duplicated") or result.get("leftovers")
    )


def _print_trial(result: dict[str, Any], seed: int) -> None:
    outcome = "FAILED" if _has_failed(result) else "recovered"
    struck = ", ".join(result.get("struck", [])) or "nothing struck"
    print(
        f"trial {result['number']} {' + '.join(result['kinds'])}: {struck}; runs {result.get('runs', 0)} "
        f"({', '.join(result.get('states', []))}); {outcome} in {result.get('seconds', 0)} s",
        flush=True,
    )
    if outcome == "FAILED":
        print(f"  repeat it with --seed {seed} --only {result['number']} and the same --server and --kinds")
        if result.get("error"):
            print(f"  {result['error']}")
        for name in ("differences", "leftovers"):
            for line in result.get(name, [])[:8]:
                print(f"  {name}: {line}")
        sys.stdout.flush()


def _print_summary(options: argparse.Namespace, results: list[dict[str, Any]]) -> bool:
    by_kind: Counter[str] = Counter()
    for result in results:
        by_kind.update(each.split(" at ")[0] for each in result.get("struck", []))
        if "two_runs" in result["kinds"]:
            by_kind["two runs at once"] += 1
    print("\nFaults by kind:")
    for kind, count in sorted(by_kind.items()):
        print(f"  {kind}: {count}")
    if options.transient_failures:
        _print_attempts(results)
    errors = [result for result in results if result.get("error")]
    if errors:
        print(f"Trials that did not end as they should: {', '.join(str(r['number']) for r in errors)}")
    if options.experiment:
        failed = [result["number"] for result in results if result.get("lost") or result.get("duplicated")]
        print(
            f"Experiment {options.experiment}: "
            + (f"failed at trial {len(results)}" if failed else f"did not fail in {len(results)} trials")
        )
    lost, duplicated, leftovers = (
        sum(result.get("lost", 0) for result in results),
        sum(result.get("duplicated", 0) for result in results),
        sum(len(result.get("leftovers", [])) for result in results),
    )
    recovered = sum(not _has_failed(result) for result in results)
    print(
        f"trials={len(results)} faults={sum(by_kind.values())} recovered={recovered} lost={lost} "
        f"duplicated={duplicated} leftovers={leftovers}",
        flush=True,
    )
    return recovered == len(results)


def _print_attempts(results: list[dict[str, Any]]) -> None:
    succeeded = sum(result.get("attempts", {}).get("succeeded", 0) for result in results)
    failed = sum(result.get("attempts", {}).get("failed", 0) for result in results)
    share = succeeded / max(1, succeeded + failed)
    print(f"{succeeded + failed} attempts, of which {share:.0%} succeeded")


def main() -> int:
    options = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the workers end too
    if options.home:
        return 0 if run(options, options.home) else 1
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    passed = run(options, home)
    if passed:
        shutil.rmtree(home, ignore_errors=True)
    else:
        print(f"logs: {home}", file=sys.stderr)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
