"""``python -m tests.interleavings.worker HOME NAME [--listener] [EXPERIMENT]`` plays the cases that it reads, one JSON line
each, on a ClickHouse of its own, or in databases of its own on the one at CLICKHOUSE_TEST_URL."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote, urlsplit

from clickhouse_driver import Client

from embedded_clickhouse.process import EmbeddedClickHouse
from tests.interleavings import actors, cases
from tests.interleavings.cases import Case, Recording, Stopped
from tests.interleavings.play import Outcome, Play
from tests.interleavings.world import World
from tests.servers.listener import Listener

# Each case replaces the tables of its world. What they were would stay on the disk for eight minutes, and a restart read it.
AT_ONCE = "<database_atomic_delay_before_drop_table_sec>0</database_atomic_delay_before_drop_table_sec>"


class Worker:
    """The worlds and the server that they are in.

    :param home: where its server keeps its data.
    :param name: of its databases.
    :param on_listener: the server is ClickHouse's own listener, which answers a small statement sooner.
    """

    def __init__(self, home: Path, name: str, on_listener: bool = False):
        logging.disable(logging.CRITICAL)
        actors.be_processes()
        self.name = name
        self.worlds: dict[str, World] = {}
        self._recordings: dict[tuple[str, str], Recording] = {}
        self.server: EmbeddedClickHouse | Listener | None = None
        if on_listener:
            from tests.servers.fetch import library

            self.server = Listener(home / "clickhouse", library(), more_config=AT_ONCE).start()
            self.address = {"host": "127.0.0.1", "port": self.server.port, "user": "default", "password": ""}
        elif url := os.environ.get("CLICKHOUSE_TEST_URL"):
            parts = urlsplit(url)
            self.address = {
                "host": parts.hostname or "127.0.0.1",
                "port": parts.port or 9000,
                "user": unquote(parts.username or "default"),
                "password": unquote(parts.password or ""),
            }
        else:
            self.server = EmbeddedClickHouse(home / "clickhouse").start()
            # It keeps its port when it is started again.
            self.server._command[self.server._command.index("--port") + 1] = str(self.server.port)
            self.address = {"host": "127.0.0.1", "port": self.server.port, "user": "default", "password": ""}

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        if self.server:
            self.server.stop()
            return
        for world in self.worlds.values():
            world.clickhouse.close()
        with Client(**self.address) as admin:
            for kind in self.worlds:
                admin.execute(f"DROP DATABASE IF EXISTS {self._database(kind)} SYNC")

    def _database(self, kind: str) -> str:
        return f"interleavings_{self.name}_{kind}"

    def world(self, kind: str) -> World:
        if kind not in self.worlds:
            self.worlds[kind] = World(self.address, self._database(kind), kind)
        return self.worlds[kind]

    def recording(self, kind: str, subject: str) -> Recording:
        """The statements of an undisturbed run."""
        if (kind, subject) not in self._recordings:
            nowhere = Case(kind, subject, Stopped("", "", cases.FROZEN), cases.NOBODY)
            needed = {} if subject == cases.BUILD else {cases.BUILD: self.recording(kind, cases.BUILD)}
            self._recordings[kind, subject] = Play(self.world(kind), nowhere, needed, self.restart).record()
        return self._recordings[kind, subject]

    def restart(self) -> None:
        """As when the machine loses power."""
        self.server.kill()
        self.server.start()
        for world in self.worlds.values():
            world.connect()

    def play(self, group: Sequence[Case]) -> Iterator[Outcome]:
        """Plays cases that differ only in how the first actor ends; several of them at once where that is possible."""
        left = {case.first.how: case for case in group}
        while left:
            how = cases.FROZEN if cases.FROZEN in left else next(iter(left))
            case = left[how]
            wanted = set(left).intersection({cases.KILLED, cases.LATE}) if how == cases.FROZEN else set()
            for ended, outcome in self._outcomes(case, wanted).items():
                del left[ended]
                yield outcome

    def _outcomes(self, case: Case, wanted: set[str]) -> dict[str, Outcome]:
        recordings = {cases.BUILD: self.recording(case.world, cases.BUILD)}
        try:
            return Play(self.world(case.world), case, recordings, self.restart).run(wanted)
        except Exception as error:
            # The world may be in any state: the next case gets a new one.
            if world := self.worlds.pop(case.world, None):
                world.clickhouse.close()
            lines = traceback.format_exception(error)
            return {case.first.how: Outcome(str(case), error=f"{error!r}", told=["".join(lines)])}


def serve(worker: Worker, requests: TextIO, answers: TextIO) -> None:
    """A request is ``{"record": [world, subject]}`` or ``{"play": [case, …]}``; an answer is one line as well."""
    for line in requests:
        request = json.loads(line)
        if "record" in request:
            recorded = worker.recording(*request["record"])
            answer = {step: [asdict(each) for each in statements] for step, statements in recorded.items()}
        else:
            answer = [asdict(each) for each in worker.play([Case.parse(text) for text in request["play"]])]
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    home, name, *rest = sys.argv[1:]
    on_listener = rest[:1] == ["--listener"]
    experiment = rest[on_listener:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent sees it, and the end of the requests ends this
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    if experiment:
        from tests.interleavings.experiments import EXPERIMENTS

        EXPERIMENTS[experiment[0]]()
    with Worker(Path(home), name, on_listener) as worker:
        serve(worker, sys.stdin, answers)


if __name__ == "__main__":
    main()
