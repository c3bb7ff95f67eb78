"""The door to ClickHouse with a doorkeeper, who stops an actor at a chosen statement. Every statement really runs."""

from __future__ import annotations

import queue
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from clickhouse_driver.errors import NetworkError

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed

COMMENTS = r"(?:\s|--[^\n]*\n)*"
READS = re.compile(COMMENTS + r"(?:SELECT|WITH|EXISTS|DESCRIBE|SHOW)\b")
CHANGES_A_TARGET = re.compile(
    COMMENTS + r"ALTER\s+TABLE\s+web_pre_aggregated_\w+\s+(?:REPLACE|DROP)\s+PARTITION"
)
PATIENCE_SECONDS = 90


class Killed(BaseException):
    """The actor's process is gone. Not an Exception, so that nothing on the way goes on after it."""


class Order(Enum):
    """What a stopped actor does next."""

    GO_ON = auto()
    DIE = auto()
    SEND = auto()
    """Sends the statement that it stopped before, and stops again."""


@dataclass(frozen=True)
class Statement:
    """One statement that was seen at the door.

    :ivar name: the last part of its path, and from the second of that name on, which it is: ``renew_lock.2``.
    :ivar reads: it changes nothing.
    :ivar changes_target: readers see other rows after it.
    """

    name: str
    reads: bool
    changes_target: bool


@dataclass
class Doorkeeper:
    """Watches one actor's statements, and stops it once.

    :ivar at: the name of the statement that it stops at; empty for none.
    :ivar loses: it stops after the statement instead of before it, and the answer is lost.
    """

    at: str = ""
    loses: bool = False
    seen: list[Statement] = field(default_factory=list)
    _is_dead: bool = False
    _stops: queue.Queue = field(default_factory=queue.Queue)
    _orders: queue.Queue = field(default_factory=queue.Queue)

    def order(self, order: Order) -> None:
        self._orders.put(order)

    def before(self, path: str, text: str) -> bool:
        """:returns: whether this is the statement to stop at."""
        if self._is_dead:
            raise Killed
        name = path.rpartition("/")[2]
        earlier = sum(each.name.partition(".")[0] == name for each in self.seen)
        name = f"{name}.{earlier + 1}" if earlier else name
        self.seen.append(Statement(name, bool(READS.match(text)), bool(CHANGES_A_TARGET.match(text))))
        is_here = name == self.at
        if is_here and not self.loses:
            return self._stop() is Order.SEND
        return is_here

    def after(self, path: str, query_id: str) -> None:
        """Only of the statement to stop at."""
        self._stop()
        if self.loses:
            raise QueryFailed(path, query_id, NetworkError.code, "the answer is lost") from NetworkError()

    def await_stop(self, has_ended: Callable[[], bool]) -> bool:
        """:returns: whether the actor stopped; otherwise it has come to its end."""
        while True:
            try:
                self._stops.get(timeout=0.02)
                return True
            except queue.Empty:
                if has_ended() and self._stops.empty():
                    return False

    def _stop(self) -> Order:
        self._stops.put(None)
        order = self._orders.get(timeout=PATIENCE_SECONDS)
        if order is Order.DIE:
            self._is_dead = True
            raise Killed
        return order


class WatchedClickHouse(ClickHouse):
    """The package's own connection, with a doorkeeper who sees each single statement."""

    doorkeeper: Doorkeeper

    def _execute_once(self, path, text, parameters, external_tables, heavy):
        stops_after = self.doorkeeper.before(path, text)
        result = super()._execute_once(path, text, parameters, external_tables, heavy)
        if stops_after:
            try:
                self.doorkeeper.after(path, self.statistics[-1].query_id)
            except QueryFailed:
                self.close()  # as the door does where a conversation is broken
                raise
        return result
