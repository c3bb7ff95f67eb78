"""Whether a server is too busy for a build to begin now. Pure functions of what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

# What is looked at, in words that go behind a number.
MEASURES = {
    "queries": "queries of others run",
    "memory_percent": "% of the server's memory limit is used",
    "merges": "merges and mutations run",
    "parts": "parts are in one partition of a target",
    "replication_queue": "entries wait in the replication queue of a target",
}


class Step(Enum):
    """What a date does next."""

    GO_ON = "go on"
    WAIT = "wait"
    GO_ON_ALL_THE_SAME = "go on all the same"


@dataclass(frozen=True)
class Verdict:
    """:ivar reason: what is above its bound, in words; empty where nothing is."""

    step: Step
    reason: str = ""


def why_busy(load: Mapping[str, float | None], bounds: Mapping[str, float]) -> str:
    """Everything that is above its bound, in words; empty where nothing is.

    :param load: by the names of :data:`MEASURES`; None where it cannot be told.
    :param bounds: of the same names; what has no bound is not looked at.
    """
    above = [
        f"{load[name]:,.0f} {words} (at most {bounds[name]:,g})"
        for name, words in MEASURES.items()
        if name in bounds and load.get(name) is not None and load[name] > bounds[name]
    ]
    return ", ".join(above)


def judged(reason: str, waited: timedelta, longest: timedelta) -> Verdict:
    """Whether a date waits for a calmer server.

    :param reason: what :func:`why_busy` says.
    :param waited: since the date wanted to begin.
    :param longest: after that it begins all the same: a server that is always busy must not keep a gap for ever.
    """
    if not reason:
        return Verdict(Step.GO_ON)
    return Verdict(Step.WAIT if waited < longest else Step.GO_ON_ALL_THE_SAME, reason)
