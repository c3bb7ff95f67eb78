"""The state of each team's first backfill: who is selected and not yet backfilled, and who has left.

Nothing here depends on an event: whoever looks finds every team that still has to be backfilled. A state tells of
an instant, its version, and the newest holds: what a run finishes after a team has left does not count. A state that
follows on another is newer than that one, whatever the clocks of the processes say that write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.rules.partitions import DateRange

STARTED, SUCCEEDED, FAILED, LEFT = "started", "succeeded", "failed", "left"
NO_EVENTS = "no events of this team in the source"
NO_DATES = DateRange(date(1970, 1, 1), date(1970, 1, 1))
# By so much a state is newer than the one it follows on. How a run ended is newer by microseconds than its start: whoever
# leaves meanwhile leaves after that.
LATER, A_LITTLE_LATER = timedelta(milliseconds=1), timedelta(microseconds=1)


@dataclass(frozen=True)
class TeamBackfill:
    """The newest state of a team.

    :ivar dates: the UTC days of the team's period.
    :ivar version: the instant of which the state tells.
    """

    team_id: int
    state: str
    dates: DateRange
    run_id: str
    reason: str
    version: datetime


@dataclass(frozen=True)
class Before:
    """What was known before the selection of teams was read, which may be changed at any moment.

    :ivar now: the instant by this process's clock.
    :ivar states: the newest state of each team that has one.
    """

    now: datetime
    states: Mapping[int, TeamBackfill]

    def version(self, team_id: int) -> datetime:
        """The instant of a state that follows on what was known."""
        known = self.states.get(team_id)
        return max(self.now, known.version + LATER) if known else self.now


@dataclass(frozen=True)
class Look:
    """What somebody found who looked at the selected teams.

    :ivar pending: selected and not yet backfilled.
    :ivar left: were backfilled, or were about to be, and are not selected any more.
    """

    pending: frozenset[int]
    left: frozenset[int]


def look(selected: Iterable[int], states: Mapping[int, str]) -> Look:
    """Compares the selection with the states. A pure function.

    :param states: the newest state of each team that has one.
    """
    teams = frozenset(selected)
    return Look(
        pending=frozenset(team_id for team_id in teams if states.get(team_id) != SUCCEEDED),
        left=frozenset(
            team_id for team_id, state in states.items() if state != LEFT and team_id not in teams
        ),
    )


def read(clickhouse: ClickHouse) -> dict[int, TeamBackfill]:
    return _states(clickhouse.query("teams/list_backfills"))


def before_selection(clickhouse: ClickHouse) -> Before:
    """To be asked before the selection is read."""
    now = datetime.now(UTC)
    return Before(now, read(clickhouse))


def _states(rows: Iterable[Mapping[str, Any]]) -> dict[int, TeamBackfill]:
    return {
        row["team_id"]: TeamBackfill(
            team_id=row["team_id"],
            state=row["state"],
            dates=DateRange(row["date_start"], row["date_end"]),
            run_id=row["run_id"],
            reason=row["reason"],
            version=row["version"],
        )
        for row in rows
    }


def look_and_mark(clickhouse: ClickHouse, selected: Iterable[int], before: Before) -> Look:
    """Looks, and records who has left, so that they are backfilled when they come back.

    :param selected: all selected teams, not only those that a run is restricted to.
    """
    found = look(selected, {team_id: known.state for team_id, known in before.states.items()})
    mark_left(clickhouse, found.left, before)
    return found


def mark_left(clickhouse: ClickHouse, team_ids: Iterable[int], before: Before) -> None:
    record(
        clickhouse,
        (
            TeamBackfill(team_id, LEFT, NO_DATES, "", "", before.version(team_id))
            for team_id in sorted(team_ids)
        ),
    )


def mark_one_left(clickhouse: ClickHouse, team_id: int) -> None:
    """For whoever changes the registration of a team."""
    known = _states(clickhouse.query("teams/read_backfill", {"team_id": team_id}))
    mark_left(clickhouse, [team_id], Before(datetime.now(UTC), known))


def record(clickhouse: ClickHouse, teams: Iterable[TeamBackfill]) -> None:
    clickhouse.insert(
        "teams/insert_backfills",
        (
            {
                "team_id": team.team_id,
                "state": team.state,
                "date_start": team.dates.start,
                "date_end": team.dates.end,
                "run_id": team.run_id,
                "reason": team.reason,
                "version": team.version,
            }
            for team in teams
        ),
    )


def start(
    clickhouse: ClickHouse,
    dates: Mapping[int, DateRange],
    refused: Mapping[int, str],
    run_id: str,
    before: Before,
) -> None:
    """Records which teams a run takes.

    :param dates: the UTC days of each team's period.
    :param refused: why a team cannot be backfilled.
    """
    started = [
        TeamBackfill(team_id, STARTED, days, run_id, "", before.version(team_id))
        for team_id, days in dates.items()
    ]
    failed = [
        TeamBackfill(team_id, FAILED, NO_DATES, run_id, reason, before.version(team_id))
        for team_id, reason in refused.items()
    ]
    record(clickhouse, [*started, *failed])


def taken_by(states: Iterable[TeamBackfill], run_id: str) -> list[TeamBackfill]:
    """The teams that a run took and that have not left since."""
    return [team for team in states if team.run_id == run_id and team.state != LEFT]


def remark_on(clickhouse: ClickHouse, team_id: int) -> str:
    """What is odd about a team that is to be backfilled; empty for most."""
    has_events = clickhouse.query("teams/has_events", {"team_id": team_id})[0]["has_events"]
    return "" if has_events else NO_EVENTS


def finish(
    clickhouse: ClickHouse,
    taken: Iterable[TeamBackfill],
    failures: Mapping[int, str],
    waiting: Mapping[int, str],
    remarks: Mapping[int, str],
    try_number: int = 1,
) -> None:
    """Records how a run ended for the teams it took.

    :param failures: why, for those that failed.
    :param waiting: for what, for those that the next run takes again.
    :param remarks: what is odd about others.
    :param try_number: of the task that says so: what the newest try says holds.
    """
    states = {**dict.fromkeys(waiting, STARTED), **dict.fromkeys(failures, FAILED)}
    reasons = {**remarks, **waiting, **failures}
    record(
        clickhouse,
        (
            replace(
                team,
                state=states.get(team.team_id, SUCCEEDED),
                reason=reasons.get(team.team_id, ""),
                # Just after the start: if the team has left meanwhile, that is newer and holds.
                version=team.version + try_number * A_LITTLE_LATER,
            )
            for team in taken
        ),
    )
