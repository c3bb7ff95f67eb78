"""Which interleavings there are: from recordings of undisturbed runs, never listed by hand."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.interleavings.door import Statement

FROZEN, KILLED, LATE, LOST = "frozen", "killed", "late", "lost"
STOPS = (FROZEN, KILLED, LATE, LOST)

# The first actor. What it finds: nothing; its own publish broken off after the first change of a target; another
# run's lock and tables, of which that run has died.
BUILD, AGAIN, HEIR = "build", "again", "heir"
CLEANUP, CLEANUP_HEIR, SWEEP_HEIR, WATCH = "cleanup", "cleanup-heir", "sweep-heir", "watch"
REGISTRY = "registry"
SUBJECTS = (BUILD, AGAIN, HEIR, CLEANUP, CLEANUP_HEIR, SWEEP_HEIR, WATCH, REGISTRY)

# The step that takes the lock: who clears a later one in Airflow clears it too.
SETUPS = {BUILD: "stage", AGAIN: "stage", HEIR: "stage", CLEANUP: "lock", CLEANUP_HEIR: "lock"}

# Who acts while it is stopped.
NOBODY, RETRY, CLEARED = "nobody", "retry", "cleared"
TAKEOVER, EXPIRED, DELETION, CLEARING = "takeover", "expired", "deletion", "sweep"
WAITING_BUILD, WAITING_DELETION, WATCHFUL_SWEEP = "waiting-build", "waiting-deletion", "watchful-sweep"
VALIDATION, RESTART, CHANGE = "validation", "restart", "change"
# With these about, the first run has to succeed.
HARMLESS = (NOBODY, WATCHFUL_SWEEP, VALIDATION, RESTART)

Recording = Mapping[str, Sequence[Statement]]


@dataclass(frozen=True)
class Stopped:
    """Where an actor stops, and what becomes of it.

    :ivar at: the name of the statement.
    """

    step: str
    at: str
    how: str

    def __str__(self) -> str:
        return f"{self.step}:{self.at}:{self.how}"

    @classmethod
    def parse(cls, text: str) -> Stopped:
        step, at, how = text.split(":")
        return cls(step, at, how)


# Of two that are stopped, who goes on first; or a further try of the intruder's step, and the rest, before both.
FIRST_THEN_INTRUDER, INTRUDER_THEN_FIRST, INTRUDER_AGAIN = "intruder-last", "intruder-first", "intruder-again"
ORDERS = (FIRST_THEN_INTRUDER, INTRUDER_THEN_FIRST, INTRUDER_AGAIN)


@dataclass(frozen=True)
class Case:
    """One interleaving.

    :ivar intruder: who acts while the first is stopped.
    :ivar second: where the intruder stops as well.
    :ivar order: one of ORDERS.
    """

    world: str
    subject: str
    first: Stopped
    intruder: str
    second: Stopped | None = None
    order: str = FIRST_THEN_INTRUDER

    def __str__(self) -> str:
        parts = [self.world, self.subject, str(self.first), self.intruder]
        return "/".join([*parts, str(self.second), self.order] if self.second else parts)

    @classmethod
    def parse(cls, text: str) -> Case:
        world, subject, first, intruder, *more = text.split("/")
        if not more:
            return cls(world, subject, Stopped.parse(first), intruder)
        second, order = more
        return cls(world, subject, Stopped.parse(first), intruder, Stopped.parse(second), order)


def with_one_stop(recordings: Mapping[tuple[str, str], Recording], restarts: bool) -> Iterator[Case]:
    """All of them.

    A read whose answer is lost is read again: to stop it there is to stop it before the read. A read that arrives late
    changes nothing, and who is killed after a read was killed before it as well: these are not told apart.

    :param recordings: of each subject in each world.
    """
    for (world, subject), steps in recordings.items():
        for step, statements in steps.items():
            follows_read = False
            for statement in statements:
                for intruder in _intruders(subject, step, list(steps), restarts):
                    hows = [FROZEN]
                    hows += [] if follows_read else [KILLED]
                    hows += [] if statement.reads else [LATE, LOST]
                    for how in hows:
                        yield Case(world, subject, Stopped(step, statement.name, how), intruder)
                yield Case(world, subject, Stopped(step, statement.name, LOST), NOBODY)
                follows_read = statement.reads


def with_two_stops(
    recordings: Mapping[tuple[str, str], Recording],
    intruders: Mapping[tuple[str, str], Recording],
    seed: int,
    count: int,
) -> Iterator[Case]:
    """So many, drawn by the seed; the first ones are the same however many there are.

    :param intruders: recordings that tell where intruders stop.
    """
    rng = random.Random(seed)
    for _ in range(count):
        world, subject = rng.choice(list(recordings))
        steps = recordings[world, subject]
        first = _draw(rng, steps)
        possible = _intruders(subject, first.step, list(steps), False)
        intruder = rng.choice([each for each in possible if each != VALIDATION])
        acts = intruders[world, _acts_as(intruder, subject)]
        if intruder in (RETRY, CLEARED):
            begins = first.step if intruder == RETRY else SETUPS[subject]
            names = list(acts)
            acts = {name: acts[name] for name in names[names.index(begins) :]}
        yield Case(world, subject, first, intruder, _draw(rng, acts), rng.choice(ORDERS))


ACTING_AS = (BUILD, HEIR, CLEANUP, CLEANUP_HEIR, SWEEP_HEIR)


def _acts_as(intruder: str, subject: str) -> str:
    """Whose recording tells the intruder's boundaries."""
    if intruder == RETRY:
        return subject
    if intruder == CLEARED:
        return CLEANUP if subject in (CLEANUP, CLEANUP_HEIR) else BUILD
    if intruder == CHANGE:
        return REGISTRY
    if intruder in (DELETION, WAITING_DELETION):
        return CLEANUP_HEIR
    return SWEEP_HEIR if intruder in (CLEARING, WATCHFUL_SWEEP) else HEIR


def _draw(rng: random.Random, steps: Recording) -> Stopped:
    step, at = rng.choice([(step, each.name) for step, statements in steps.items() for each in statements])
    return Stopped(step, at, rng.choice([FROZEN, FROZEN, FROZEN, *STOPS]))


def _intruders(subject: str, step: str, steps: list[str], restarts: bool) -> list[str]:
    if subject == REGISTRY:
        return [CHANGE, DELETION, *([RESTART] if restarts else [])]
    if subject == WATCH:
        return [TAKEOVER, DELETION, *([RESTART] if restarts else [])]
    found = [RETRY, TAKEOVER, EXPIRED, CLEARING, WATCHFUL_SWEEP, VALIDATION]
    setup = SETUPS.get(subject)
    if setup and (setup not in steps or steps.index(setup) < steps.index(step)):
        found.append(CLEARED)
    found += [WAITING_BUILD] if subject in (CLEANUP, CLEANUP_HEIR) else [DELETION, WAITING_DELETION]
    return [*found, RESTART] if restarts else found
