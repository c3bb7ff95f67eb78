"""The embedded ClickHouse with faults: takes the same arguments, and does harm as its control directory says.

``plan.json`` there holds the faults of the present trial, written by the suite; each fault that strikes is
appended to ``struck.jsonl``. Both are files, so that neither a kill -9 of this process nor its restart strikes
twice. Only statements of the package's DAG runs are touched, never those of the suite itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from embedded_clickhouse import server as embedded
from embedded_clickhouse.__main__ import main
from embedded_clickhouse.errors import EngineError

CONTROL = Path(os.environ["CHAOS_CONTROL"])
RUN_QUERY_ID = "web_analytics_"
INSERT_SELECT = re.compile(
    r"\s*(?:--[^\n]*\n\s*)*INSERT\s+INTO\s+\S+\s*\([^()]*\)\s*(?=SELECT\b|WITH\b)", re.I
)
SYNCHRONOUS = re.compile(r"\b(lightweight_deletes_sync|mutations_sync)(\s*=\s*)\d", re.I)
DELETE_FROM = re.compile(r"^DELETE FROM (\S+)", re.M)
TRANSIENT_CODES = (159, 202, 209, 210, 241, 252, 319, 439)


class Plan:
    """The faults of the present trial, and what has become of them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._version, self._plan, self._seen = None, {}, 0
        self._matches: dict[str, int] = {}
        self._random = random.Random()

    def next_faults(self, statement: str) -> list[dict[str, Any]]:
        """What is to happen to this statement; counts it."""
        with self._lock:
            self._read()
            self._seen += 1
            if self._plan.get("count"):
                _append("seen.jsonl", {"statement": statement})
            due = [fault for fault in self._plan.get("faults", []) if self._is_due(fault, statement)]
            share = self._plan.get("transient_share", 0)
            if share and self._random.random() < share:
                due.append(self._transient_failure())
            return due

    def _read(self) -> None:
        try:
            version = (CONTROL / "plan.json").stat().st_mtime_ns
            if version == self._version:
                return
            self._plan = json.loads((CONTROL / "plan.json").read_text())
        except FileNotFoundError:
            return
        self._version, self._seen, self._matches = version, 0, {}
        self._random = random.Random(self._plan.get("seed"))
        struck = CONTROL / "struck.jsonl"
        spent = (
            [json.loads(line)["id"] for line in struck.read_text().splitlines()] if struck.exists() else []
        )
        for fault in self._plan.get("faults", []):
            fault["times"] = fault.get("times", 1) - spent.count(fault["id"])

    def _is_due(self, fault: dict[str, Any], statement: str) -> bool:
        if fault["times"] <= 0 or not re.search(fault.get("statement", ""), statement):
            return False
        self._matches[fault["id"]] = self._matches.get(fault["id"], 0) + 1
        if self._matches[fault["id"]] < fault.get("nth", 1):
            return False
        fault["times"] -= 1
        return True

    def _transient_failure(self) -> dict[str, Any]:
        action = self._random.choices(["code", "lose_answer", "refuse"], [6, 2, 2])[0]
        return {
            "id": "transient",
            "action": action,
            "code": self._random.choice(TRANSIENT_CODES),
            "when": self._random.choice(["before", "after"]),
        }

    @property
    def rewrites(self) -> list[str]:
        return self._plan.get("rewrites", [])

    @property
    def clients(self) -> list[int]:
        return self._plan.get("clients", [])


def _append(name: str, row: dict[str, Any]) -> None:
    with (CONTROL / name).open("a") as file:
        file.write(json.dumps(row) + "\n")


def strike(fault: dict[str, Any], statement: str) -> None:
    _append("struck.jsonl", {"id": fault["id"], "action": fault["action"], "statement": statement})


class FaultyConnection(embedded.Connection):
    """A connection on which planned faults strike."""

    plan = Plan()

    def _query(self, query):
        self._statement, self._faults = "", []
        if query.id.startswith(RUN_QUERY_ID):
            self._statement = next((value for name, value, _ in query.settings if name == "log_comment"), "")
            self._faults = self.plan.next_faults(self._statement)
            if "asynchronous_delete" in self.plan.rewrites:
                weakened = [
                    (name, "0" if SYNCHRONOUS.match(f"{name}=2") else value, important)
                    for name, value, important in query.settings
                ]
                query = query._replace(settings=weakened)
        super()._query(query)

    def _execute(self, sql):
        if "asynchronous_delete" in self.plan.rewrites and self._statement:
            sql = SYNCHRONOUS.sub(r"\g<1>\g<2>0", sql)
        if "stop_merges" in self.plan.rewrites and self._statement == "build/delete_build_teams":
            self._session.run(f"SYSTEM STOP MERGES {DELETE_FROM.search(sql)[1]}")
        for fault in self._faults:
            sql = self._before(fault, sql)
        end = super()._execute(sql)
        for fault in self._faults:
            self._after(fault)
        return end

    def _before(self, fault: dict[str, Any], sql: str) -> str:
        action, when = fault["action"], fault.get("when", "before")
        if action == "short_write":
            return self._cut_short(fault, sql)
        if action == "delay":
            strike(fault, self._statement)
            time.sleep(fault["seconds"])
        elif action == "refuse":
            strike(fault, self._statement)
            self._hang_up()
        elif action in ("kill_server", "kill_client") and when == "during":
            strike(fault, self._statement)
            threading.Timer(fault["seconds"], self._kill, [action]).start()
        elif when == "before" and action in ("code", "kill_server", "kill_client"):
            strike(fault, self._statement)
            self._harm(fault)
        return sql

    def _after(self, fault: dict[str, Any]) -> None:
        if fault["action"] == "freeze":
            strike(fault, self._statement)
            self._freeze()
            return
        if fault["action"] == "thaw":
            strike(fault, self._statement)
            self._thaw(fault["seconds"])
            return
        if fault["action"] == "lose_answer":
            strike(fault, self._statement)
            self._hang_up()
        elif fault.get("when") == "after" and fault["action"] in ("code", "kill_server", "kill_client"):
            strike(fault, self._statement)
            self._harm(fault)

    def _harm(self, fault: dict[str, Any]) -> None:
        if fault["action"] == "code":
            raise EngineError(fault["code"], f"Injected by tests.chaos {fault['when']} execution. (CHAOS)")
        self._kill(fault["action"])

    def _kill(self, action: str) -> None:
        for pid in [os.getpid()] if action == "kill_server" else self.plan.clients:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _freeze(self) -> None:
        """Stops the client and its parent, which sends its heartbeats, before they get the answer."""
        [client] = {
            each.pid
            for each in psutil.net_connections("tcp")
            if each.laddr == self._channel.sock.getpeername()[:2] and each.pid
        }
        frozen = [psutil.Process(client).ppid(), client]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        _append("frozen.jsonl", {"pids": frozen})

    def _thaw(self, seconds: float) -> None:
        """Lets all of them go on, and so long before whoever sent this statement."""
        for line in (CONTROL / "frozen.jsonl").read_text().splitlines():
            for pid in json.loads(line)["pids"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        (CONTROL / "frozen.jsonl").unlink()
        time.sleep(seconds)

    def _hang_up(self):
        self._channel.sock.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("hung up by tests.chaos")

    def _cut_short(self, fault: dict[str, Any], sql: str) -> str:
        """Writes only some of the rows, and reports success all the same."""
        head = INSERT_SELECT.match(sql)
        if not head:
            return sql
        rows = self._session.rows(f"SELECT count() FROM ({sql[head.end() :]})")[0][0]
        if not int(rows):
            return sql
        strike(fault, self._statement)
        return f"{head[0]} SELECT * FROM ({sql[head.end() :]}) LIMIT {int(int(rows) * fault['share'])}"


def end_with_parent() -> None:
    """A suite that was killed leaves no server behind."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    embedded.Connection = FaultyConnection
    end_with_parent()
    main()
