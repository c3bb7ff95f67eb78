"""Plays one interleaving and judges what came of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tests.interleavings import actors, cases
from tests.interleavings.actors import Run, Waits
from tests.interleavings.cases import Case, Recording, Stopped
from tests.interleavings.door import Doorkeeper, Killed, Order
from tests.interleavings.world import APPROVED_TEAM, ENABLED, Look, World
from web_analytics.build.cleanup import ApprovalOutdated, CleanupFailed
from web_analytics.build.locks import LockLost, RunActivity
from web_analytics.errors import CODES, Again
from web_analytics.validation import ValidationFailed

TRIES = 4
JOIN_SECONDS = 180
ZONE = "Europe/Berlin"


@dataclass
class Outcome:
    """What came of a case.

    :ivar undetected: numbers that were wrong before the last run while the states of their team-day said nothing.
    :ivar lost: pageviews short of the oracle in the end; other numbers that are too small count as one each, and so do
        changes of the registry that were acknowledged and undone.
    :ivar duplicated: likewise in excess.
    :ivar leftovers: locks, takeover markers and tables of builds in the end.
    :ivar undeleted: tables with rows that a cleanup had proved to be gone.
    :ivar restless: team-days that would be built again although everything was just built.
    :ivar false_alarms: validations that failed for good although the tables were right.
    :ivar harmed: steps that failed for good although nobody had taken the date over.
    :ivar trespasses: tables that an actor has changed after another had taken its date over and come to its end.
    :ivar error: the case could not be played.
    :ivar is_known: it ended in a state that another case's last run has healed, so that none was played.
    :ivar reached: the actors came to the statements at which they were to stop.
    """

    case: str
    undetected: int = 0
    lost: int = 0
    duplicated: int = 0
    leftovers: int = 0
    undeleted: int = 0
    restless: int = 0
    false_alarms: int = 0
    harmed: int = 0
    trespasses: int = 0
    error: str = ""
    is_known: bool = False
    reached: bool = True
    told: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return bool(self.error) or any(getattr(self, name) for name in COUNTS)


COUNTS = (
    "undetected",
    "lost",
    "duplicated",
    "leftovers",
    "undeleted",
    "restless",
    "false_alarms",
    "harmed",
    "trespasses",
)


class Acting:
    """A run that acts in a thread of its own, and stops once.

    :param first: the step that it begins with; a further try, where it was tried before.
    :param stop: where it stops.
    :param alarm: called when a validation fails for good.
    :ivar is_superseded: Airflow has given up the try that is stopped: it ends with what it is doing.
    :ivar failed: why steps failed for good, other than by saying no to a person or of the tables.
    :ivar waits_at: the step that found the date locked.
    """

    def __init__(
        self,
        run: Run,
        first: str | None = None,
        stop: Stopped | None = None,
        alarm: Callable[[], None] = lambda: None,
    ):
        self.run, self.stop, self.alarm = run, stop, alarm
        self.keeper = Doorkeeper(stop.at, stop.how == cases.LOST) if stop else Doorkeeper()
        self.is_superseded = False
        self.waits_at: str | None = None
        self.error: BaseException | None = None
        self.is_stopped = False
        self.failed: list[BaseException] = []
        self._todo = list(run.steps[run.steps.index(first) if first else 0 :])
        self._thread = threading.Thread(target=self._act, daemon=True)

    def start(self) -> Acting:
        """Returns when it has stopped or come to its end."""
        self._thread.start()
        self.is_stopped = self.keeper.await_stop(lambda: not self._thread.is_alive())
        return self

    def send(self) -> None:
        """The statement that it stopped before arrives, and nothing more."""
        self.keeper.order(Order.SEND)
        self.is_stopped = self.keeper.await_stop(lambda: not self._thread.is_alive())

    def end(self, order: Order = Order.GO_ON) -> None:
        """Lets it come to its end."""
        if self.is_stopped:
            self.keeper.order(order)
            self.is_stopped = False
        if self._thread.ident is None:  # it never began
            return
        self._thread.join(JOIN_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError(f"{self.run.run_id} does not come to its end")
        if self.error:
            raise self.error

    def _act(self) -> None:
        try:
            self._carry_on()
        except (Killed, Waits):
            pass
        except BaseException as error:  # of the harness itself
            self.error = error

    def _carry_on(self) -> None:
        run = self.run
        while self._todo and not self.is_superseded:
            step = self._todo.pop(0)
            if self._fails(step):
                self._todo = [each for each in run.after_failure(step) if each in self._todo]

    def _fails(self, step: str) -> bool:
        """Whether a step fails for good, after the tries that Airflow would give it."""
        run, last = self.run, self.run.tries.get(step, 0) + TRIES
        keeper: Doorkeeper | None = None
        if self.stop and step == self.stop.step:
            keeper, self.stop = self.keeper, None
        while True:
            try:
                error = run.attempt(step, keeper)
            except Waits:
                self.waits_at = step
                raise
            if error is None or self.is_superseded:
                return False
            keeper = None
            known = CODES.get(getattr(error, "code", None))
            if run.tries[step] >= last or (known and known.again is Again.NEVER):
                run.give_up(step)
                if isinstance(error, ValidationFailed):
                    self.alarm()
                elif not isinstance(error, (ApprovalOutdated, CleanupFailed)):
                    self.failed.append(error)
                return True


class Play:
    """One case, from its beginning to its judgement.

    :param recordings: of the undisturbed runs; where they stop before the case begins.
    :param restart: kills the ClickHouse of the world and starts it again.
    """

    def __init__(
        self,
        world: World,
        case: Case,
        recordings: Mapping[str, Recording],
        restart: Callable[[], None],
    ):
        self.world, self.case, self.recordings, self.restart = world, case, recordings, restart
        self.activity: dict[str, RunActivity] = {}
        self.runs: list[Run] = []
        self.outcome = Outcome(str(case))
        self._acting: list[Acting] = []

    def record(self) -> Recording:
        """Runs the subject undisturbed: the statements of each step."""
        self.world.reset()
        run, first = self._subject()
        recorded = {}
        for step in run.steps[run.steps.index(first) if first else 0 :]:
            keeper = Doorkeeper()
            if error := run.attempt(step, keeper):
                raise error
            recorded[step] = keeper.seen
        return recorded

    def run(self, wanted: set[str] = frozenset()) -> dict[str, Outcome]:
        """Plays the case.

        :param wanted: other ends of an actor that is frozen, which are looked at on the way: that it was killed, or
            that its statement arrived late. If all is well then, that is their outcome.
        :returns: the outcomes by the end of the first actor.
        """
        self.world.reset()
        try:
            return self._run(wanted)
        finally:
            for acting in self._acting:
                acting.end(Order.DIE)

    def _run(self, wanted: set[str]) -> dict[str, Outcome]:
        case = self.case
        run, begins = self._subject()
        first = self._first = self._acts(run, begins, case.first).start()
        self.world.events_arrive()
        second = self._intruder(first)
        if second:
            second.start()
        self.outcome.reached = first.is_stopped and (not case.second or bool(second and second.is_stopped))
        first.is_superseded = self._is_superseded(run)
        # Nothing that the first one does from here on reaches readers.
        is_over = first.is_superseded and second and not (second.is_stopped or second.waits_at)
        stored = self.world.stored() if is_over else None
        found: dict[str, Outcome] = {}
        for how in (cases.KILLED, cases.LATE):
            if how in wanted and first.is_stopped:
                if how == cases.LATE:
                    first.send()
                look = self.world.look(self._has_proved)
                if (look.is_quiet or self._is_known(look)) and not self.outcome.false_alarms:
                    name = str(replace(case, first=replace(case.first, how=how)))
                    found[how] = Outcome(name, is_known=not look.is_quiet)
        self._end(first, second)
        if stored:
            self._tell_trespasses(stored)
        self._judge()
        return {**found, case.first.how: self.outcome}

    def _is_superseded(self, run: Run) -> bool:
        """Whether Airflow no longer waits for the try that was stopped."""
        if isinstance(run, (actors.Validation, actors.Change)):
            return False
        return self.case.intruder in (
            cases.RETRY,
            cases.CLEARED,
            cases.TAKEOVER,
            cases.DELETION,
            cases.CLEARING,
        )

    # Who acts.

    def _acts(self, run: Run, begins: str | None = None, stop: Stopped | None = None) -> Acting:
        self._acting.append(Acting(run, begins, stop, self._alarm))
        return self._acting[-1]

    def _build(self, run_id: str, **more) -> actors.Build:
        """Without its validation, which reads only: that has cases of its own."""
        return self._new(actors.Build, run_id, validates=False, **more)

    def _new(self, kind: type[Run], run_id: str, **more) -> Run:
        more.setdefault("settings", self.world.settings)
        made = kind(self.world, run_id, self.activity, **more)
        self.runs.append(made)
        self.activity[run_id] = RunActivity.ACTIVE
        return made

    def _cleanup(self, run_id: str) -> actors.Cleanup:
        made = self._new(actors.Cleanup, run_id)
        made.show()
        return made

    def _subject(self) -> tuple[Run, str | None]:
        """The first run, and the step that it begins with."""
        subject = self.case.subject
        if subject == cases.BUILD:
            return self._new(actors.Build, "first", planned=self.world.planned), None
        if subject == cases.CLEANUP:
            return self._cleanup("first"), None
        if subject == cases.REGISTRY:
            return self._new(actors.Change, "first", changes={"timezone": ZONE}), None
        run = self._build("before", planned=self.world.planned)
        if subject == cases.WATCH:
            self._acts(run).start().end()
            self.activity["before"] = RunActivity.ENDED
            return self._new(actors.Validation, "first"), None
        recorded = self.recordings[cases.BUILD]
        if subject == cases.AGAIN:
            names = [each.name for each in recorded["publish"]]
            changes = [each.name for each in recorded["publish"] if each.changes_target]
            self._die(run, Stopped("publish", names[names.index(changes[0]) + 1], cases.KILLED))
            return run, "publish"
        inserts = list(recorded)[: list(recorded).index("publish")]
        self._die(run, Stopped(inserts[-1], recorded[inserts[-1]][-1].name, cases.KILLED))
        self.activity["before"] = RunActivity.ENDED
        if subject == cases.HEIR:
            return self._build("first", planned=ENABLED), None
        if subject == cases.CLEANUP_HEIR:
            return self._cleanup("first"), None
        return self._new(actors.Sweep, "first"), None

    def _die(self, run: Run, stop: Stopped) -> None:
        acting = self._acts(run, stop=stop).start()
        if not acting.is_stopped:
            raise AssertionError(f"{run.run_id} never came to {stop}")
        acting.end(Order.DIE)

    def _intruder(self, first: Acting) -> Acting | None:
        intruder, stop = self.case.intruder, self.case.second
        run = first.run
        if intruder == cases.NOBODY:
            return None
        if intruder == cases.RESTART:
            self.restart()
            return None
        if intruder == cases.RETRY:
            return self._acts(run, self.case.first.step, stop)
        if intruder == cases.CLEARED:
            return self._acts(run, cases.SETUPS[self.case.subject], stop)
        if intruder in (cases.TAKEOVER, cases.DELETION, cases.CLEARING):
            self.activity[run.run_id] = RunActivity.ENDED
        if intruder == cases.EXPIRED:
            self.activity[run.run_id] = RunActivity.UNKNOWN
            settings = actors.expired(self.world.settings)
            return self._acts(self._build("second", planned=ENABLED, settings=settings), stop=stop)
        if intruder in (cases.TAKEOVER, cases.WAITING_BUILD):
            return self._acts(self._build("second", planned=ENABLED), stop=stop)
        if intruder in (cases.DELETION, cases.WAITING_DELETION):
            return self._acts(self._cleanup("second"), stop=stop)
        if intruder == cases.CHANGE:
            return self._acts(self._new(actors.Change, "second", changes={"enabled": False}), stop=stop)
        kind = actors.Validation if intruder == cases.VALIDATION else actors.Sweep
        return self._acts(self._new(kind, "second"), stop=stop)

    # How it ends.

    def _end(self, first: Acting, second: Acting | None) -> None:
        how = self.case.first.how
        is_dead = how in (cases.KILLED, cases.LATE)
        if second and second.waits_at and is_dead:
            self._over(first.run)
            second = self._resume(second)
        acting = [first, *([second] if second else [])]
        if self.case.order == cases.INTRUDER_AGAIN and second and second.is_stopped:
            # Airflow has noticed that its task has died, or takes it for dead.
            second.is_superseded = True
            again = self._acts(second.run, self.case.second.step).start()
            again.end()
            acting.append(again)
        elif self.case.order == cases.INTRUDER_THEN_FIRST or (how == cases.LATE and not self.case.second):
            acting.reverse()
        for each in acting:
            each_how = how if each is first else self._how_second(each, second)
            if each_how == cases.LATE and each.is_stopped:
                each.send()
            each.end(Order.DIE if each_how in (cases.KILLED, cases.LATE) else Order.GO_ON)
            self._over(each.run)
        for each in reversed(acting):
            if each.waits_at:
                self._resume(each)

    def _how_second(self, acting: Acting, second: Acting | None) -> str:
        return self.case.second.how if self.case.second and acting is second else cases.FROZEN

    def _over(self, run: Run) -> None:
        """Airflow has noticed that a run has ended or died."""
        self.activity[run.run_id] = RunActivity.ENDED

    def _resume(self, waiting: Acting) -> Acting:
        """It looks again at the lock that it was waiting for."""
        acting = self._acts(waiting.run, waiting.waits_at)
        acting.is_superseded = waiting.is_superseded
        waiting.waits_at = None
        acting.start().end()
        self._over(acting.run)
        return acting

    def _alarm(self) -> None:
        if not self.world.look(self._has_proved).differences:
            self.outcome.false_alarms += 1

    @property
    def _has_proved(self) -> bool:
        return any(isinstance(run, actors.Cleanup) and run.has_proved for run in self.runs)

    def _is_known(self, look: Look) -> bool:
        """Whether the last run of another case has healed this."""
        return look.may_heal and look.state in self.world.healed

    def _tell_trespasses(self, before) -> None:
        found = self.world.stored()
        changed = [table.name for table in before if found[table] != before[table]]
        self.outcome.trespasses = len(changed)
        self._tell("changed by one that was taken over", changed)

    def _judge(self) -> None:
        """What is wrong, whether the states say so, and whether one further run heals it."""
        outcome = self.outcome
        look = self.world.look(self._has_proved)
        outcome.undetected, outcome.undeleted = len(look.undetected), look.undeleted
        self._tell("undetected", look.undetected)
        outcome.is_known = self._is_known(look)
        if outcome.is_known:
            look = Look((), {}, 0, ())
        elif not look.is_quiet:
            look = self._heal(look)
        for *_, measure, expected, found in look.differences:
            amount = abs(expected - found) if measure == "pageviews" else 1
            if expected > found:
                outcome.lost += amount
            else:
                outcome.duplicated += amount
        outcome.lost += len(undone := self._undone())
        self._tell("undone", undone)
        outcome.leftovers, outcome.restless = len(look.leftovers), len(look.gaps)
        outcome.undeleted = max(outcome.undeleted, look.undeleted)
        outcome.harmed = sum(
            not self._may_fail_by(error)
            for each in self._acting
            if self._is_newest(each)
            for error in each.failed
        )
        self._tell("wrong", look.differences)
        self._tell("left", look.leftovers)
        self._tell("gap", look.gaps.items())
        for run in self.runs:
            self._tell(
                f"{run.run_id} run", [f"{step} try {number}: {error}" for step, number, error in run.errors]
            )

    def _heal(self, before: Look) -> Look:
        """What is found after one further run."""
        for run_id in self.activity:
            self.activity[run_id] = RunActivity.ENDED
        teams = tuple(sorted({team_id for team_id, _ in before.gaps}))
        last = self._build("last", planned=teams) if teams else self._new(actors.Sweep, "last")
        acting = self._acts(last).start()
        acting.end()
        if acting.waits_at:
            self._tell("the last run", ["waits for the lock"])
        after = self.world.look(self._has_proved)
        if before.state and after.is_quiet and not acting.failed:
            self.world.healed.add(before.state)
        return after

    def _may_fail_by(self, error: BaseException) -> bool:
        """Of two that were stopped, the one that wakes up while it releases drops the lock that the other one holds by
        now: no statement drops a table only if it still is what it was. The other one ends with that, unpublished."""
        return bool(self.case.second) and isinstance(error, LockLost)

    def _undone(self) -> list[str]:
        """Changes of the registry that were acknowledged and are gone."""
        [(zone, enabled)] = self.world.execute(
            f"SELECT timezone, enabled FROM web_pre_aggregated_teams FINAL WHERE team_id = {APPROVED_TEAM}"
        )
        undone = []
        for run in self.runs:
            if isinstance(run, actors.Change) and run.is_acknowledged:
                found = {"timezone": zone, "enabled": enabled}
                undone += [name for name, value in run.changes.items() if found[name] != value]
            if isinstance(run, actors.Cleanup) and "disable" in run.handed_on and enabled:
                undone.append("disabled by a cleanup")
        return undone

    def _is_newest(self, acting: Acting) -> bool:
        """Whether nobody has taken the date over from it, nor may believe that its run is over."""
        is_first = acting is self._first
        return not acting.is_superseded and (not is_first or self.case.intruder in cases.HARMLESS)

    def _tell(self, what: str, found) -> None:
        self.outcome.told += [f"{what}: {each}" for each in found]
