"""The verdict on the pre-aggregation as a whole. Pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from web_analytics.rules.commands import trigger_command
from web_analytics.rules.decision import GapCount
from web_analytics.rules.gaps import fill_command
from web_analytics.rules.low_volume import DAYS_TOLD, DayVolume
from web_analytics.rules.partitions import ONE_DAY, DateRange, closed_at, day_end
from web_analytics.rules.service_level import ServiceLevel
from web_analytics.rules.states import COMPLETE, GAP_KINDS, INCONSISTENT, MISSING, ORPHAN, STALE
from web_analytics.tables import TABLES

OK, DEGRADED, FAILING = "ok", "degraded", "failing"
# From harmless to bad: the worst of all reasons is the verdict.
VERDICTS = (OK, DEGRADED, FAILING)
# Kinds of gap whose waiting counts. A stale day held what was there when it was built, and late events make days
# stale every day.
WAITING_KINDS = (MISSING, INCONSISTENT, ORPHAN)
# The schedule decides at least every 6 hours.
DECISION_DEGRADED, DECISION_FAILING = timedelta(hours=8), timedelta(hours=26)
# Fewer attempts than this say nothing about a rate.
MIN_ATTEMPTS = 5


@dataclass(frozen=True)
class Thresholds:
    """From where on the state is degraded or failing: hours, and percent of attempts that succeed."""

    degraded_gap_hours: float = 60
    failing_gap_hours: float = 96
    degraded_freshness_hours: float = 30
    failing_freshness_hours: float = 54
    degraded_success_percent: float = 95
    failing_success_percent: float = 80


# A lone gap heals after 48 hours at the latest (the maximum gap age), and the newest day is built at 02:00: what lasts
# half a day longer is unusual, what lasts two days is broken.
THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Reason:
    """Why the verdict is not ok.

    :ivar since: the instant from which on this is so, as far as known.
    :ivar command: what to run; empty where a person has to look first.
    """

    severity: str
    text: str
    since: datetime | None = None
    command: str = ""


@dataclass(frozen=True)
class Coverage:
    """What the tables hold of what they should, over the closed days that were looked at.

    :ivar percent: of the (team, day, table) with something to hold those that are complete, by table; 100 if none.
    :ivar newest_complete_day: the newest day with data on which no team lacks anything in either table.
    :ivar oldest_gap: the oldest day with a gap that counts as waiting (not stale).
    :ivar waiting_kinds: the kinds of all such gaps.
    """

    percent: dict[str, float]
    missing_partitions: int
    stale_days: int
    oldest_gap: date | None
    newest_complete_day: date | None
    waiting_kinds: tuple[str, ...] = (MISSING,)


@dataclass(frozen=True)
class Measured:
    """Everything that the verdict depends on.

    :ivar suffix: of the ids of the DAGs that a reason names (:func:`web_analytics.regions.region_suffix`).
    :ivar oldest_gap_since: since when the oldest gap has been known to wait; None without a gap.
    :ivar last_decision_at: when the last scheduled or manual run decided; None if there was none.
    :ivar leftovers: dates with locks or per-run tables that no active run owns.
    :ivar volumes: what is said of the pageviews of days, the newest day first.
    :ivar service_level: what became of the objective; None where there is none.
    :ivar settling: until when a day that has ended is open.
    :ivar activity_lag_hours: since when the source was not looked at for the kept activity; None where none is kept.
    """

    coverage: Coverage
    enabled_teams: int
    teams_with_data: int
    oldest_gap_since: datetime | None
    last_decision_at: datetime | None
    last_success_at: datetime | None
    attempts: int = 0
    succeeded: int = 0
    failures: tuple[Mapping[str, Any], ...] = ()
    leftovers: tuple[str, ...] = ()
    activity_lag_hours: float | None = None
    volumes: tuple[DayVolume, ...] = ()
    service_level: ServiceLevel | None = None
    settling: timedelta = timedelta()
    days: int = 7
    suffix: str = ""

    @property
    def success_percent(self) -> float | None:
        return round(100 * self.succeeded / self.attempts, 2) if self.attempts else None


@dataclass(frozen=True)
class Health:
    verdict: str
    reasons: tuple[Reason, ...] = field(default_factory=tuple)

    @property
    def sentence(self) -> str:
        return "; ".join(reason.text for reason in self.reasons) or "nothing to do"

    @property
    def since(self) -> datetime | None:
        return min((reason.since for reason in self.reasons if reason.since), default=None)

    @property
    def commands(self) -> list[str]:
        return list(dict.fromkeys(reason.command for reason in self.reasons if reason.command))

    def to_json(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "reasons": [
                {**asdict(reason), "since": reason.since and reason.since.isoformat(timespec="seconds")}
                for reason in self.reasons
            ],
        }


def coverage(counts: Sequence[GapCount], closed: DateRange, metrics_from: date) -> Coverage:
    """Sums up a detection of all states.

    :param counts: teams by (day, table, state), complete ones too.
    :param metrics_from: first day of the period that ``percent`` is about.
    """
    percent = {}
    for table in TABLES:
        of_table = [
            count
            for count in counts
            if count.table_name == table.name and count.partition_date >= metrics_from
        ]
        expected = sum(count.teams for count in of_table)
        complete = sum(count.teams for count in of_table if count.state == COMPLETE)
        percent[table.short_name] = round(100 * complete / expected, 3) if expected else 100.0
    broken = {count.partition_date for count in counts if count.state in GAP_KINDS}
    whole = {count.partition_date for count in counts if count.state == COMPLETE} - broken
    waiting = [count for count in counts if count.state in WAITING_KINDS]
    return Coverage(
        percent=percent,
        missing_partitions=len({(c.table_name, c.partition_date) for c in counts if c.state == MISSING}),
        stale_days=len({count.partition_date for count in counts if count.state == STALE}),
        oldest_gap=min((count.partition_date for count in waiting), default=None),
        newest_complete_day=max((day for day in whole if day in closed), default=None),
        waiting_kinds=tuple(kind for kind in WAITING_KINDS if any(kind == count.state for count in waiting)),
    )


def gap_since(
    oldest_gap: date | None, previous: Mapping[str, Any] | None, settling: timedelta
) -> datetime | None:
    """Since when the oldest gap has waited: since its day was closed, or, if it appeared later (a newly enabled
    team), since the check before the first one that saw it.

    :param previous: ``oldest_gap``, ``oldest_gap_since`` and ``checked_at`` of the check before; None if none.
    """
    if oldest_gap is None:
        return None
    closed = closed_at(oldest_gap, settling)
    if previous is None:
        return closed
    before = previous["oldest_gap"]
    was_there = before is not None and before <= oldest_gap
    return max(closed, previous["oldest_gap_since"] if was_there else previous["checked_at"])


def hours_since_day(day: date | None, now: datetime) -> float | None:
    """Hours since the end of a day."""
    return None if day is None else round((now - day_end(day)).total_seconds() / 3600, 1)


def judge(measured: Measured, thresholds: Thresholds, now: datetime) -> Health:
    """The verdict with its reasons, the worst first."""
    reasons = [
        *_gaps(measured, thresholds, now),
        *_freshness(measured, thresholds, now),
        *_attempts(measured, thresholds),
        *_decisions(measured, now),
        *_service_level(measured),
        *_volumes(measured),
        *_rest(measured),
    ]
    reasons.sort(key=lambda reason: VERDICTS.index(reason.severity), reverse=True)
    return Health(reasons[0].severity if reasons else OK, tuple(reasons))


def _severity(value: float, degraded: float, failing: float) -> str:
    """For values of which more is worse; a failing threshold below the degraded one is as if they were equal."""
    if value > max(degraded, failing):
        return FAILING
    return DEGRADED if value > degraded else OK


def _gaps(measured: Measured, thresholds: Thresholds, now: datetime) -> list[Reason]:
    oldest, since = measured.coverage.oldest_gap, measured.oldest_gap_since
    if oldest is None or since is None:
        return []
    waited = (now - since).total_seconds() / 3600
    severity = _severity(waited, thresholds.degraded_gap_hours, thresholds.failing_gap_hours)
    if severity == OK:
        return []
    partitions = DateRange(oldest, max(oldest + ONE_DAY, now.date()))
    command = fill_command(partitions, measured.coverage.waiting_kinds, suffix=measured.suffix)
    text = f"the oldest gap, {oldest}, has waited {waited:.0f} h"
    return [Reason(severity, text, since, command)]


def _freshness(measured: Measured, thresholds: Thresholds, now: datetime) -> list[Reason]:
    hours = hours_since_day(measured.coverage.newest_complete_day, now)
    if hours is None:
        if not measured.teams_with_data:
            return []
        return [
            Reason(
                FAILING,
                "no day is complete, although teams have data",
                None,
                trigger_command("web_analytics_diagnostics", suffix=measured.suffix),
            )
        ]
    severity = _severity(hours, thresholds.degraded_freshness_hours, thresholds.failing_freshness_hours)
    if severity == OK:
        return []
    day = measured.coverage.newest_complete_day
    return [
        Reason(
            severity,
            f"the newest complete day, {day}, ended {hours:.0f} h ago",
            day_end(day),
            trigger_command("web_analytics_diagnostics", suffix=measured.suffix),
        )
    ]


def _attempts(measured: Measured, thresholds: Thresholds) -> list[Reason]:
    percent = measured.success_percent
    if percent is None or measured.attempts < MIN_ATTEMPTS:
        return []
    severity = _severity(
        100 - percent, 100 - thresholds.degraded_success_percent, 100 - thresholds.failing_success_percent
    )
    if severity == OK:
        return []
    codes = ", ".join(f"{each['failures']} with code {each['error_code']}" for each in measured.failures[:3])
    first = min((each["first_at"] for each in measured.failures), default=None)
    return [Reason(severity, f"{percent:g} % of {measured.attempts} attempts succeeded ({codes})", first)]


def _decisions(measured: Measured, now: datetime) -> list[Reason]:
    check = "check that web_analytics_backfill is not paused and that the scheduler runs"
    if not measured.enabled_teams:
        return []
    if measured.last_decision_at is None:
        return [Reason(DEGRADED, f"web_analytics_backfill has never run: {check}")]
    waited = now - measured.last_decision_at
    if waited <= DECISION_DEGRADED:
        return []
    severity = FAILING if waited > DECISION_FAILING else DEGRADED
    hours = waited.total_seconds() / 3600
    text = f"web_analytics_backfill last decided {hours:.0f} h ago: {check}"
    return [Reason(severity, text, measured.last_decision_at)]


def _service_level(measured: Measured) -> list[Reason]:
    level = measured.service_level
    if level is None or not level.is_burning:
        return []
    command = trigger_command("web_analytics_diagnostics", suffix=measured.suffix)
    return [Reason(DEGRADED, level.sentence, level.burning_since, command)]


def _volumes(measured: Measured) -> list[Reason]:
    return [
        Reason(DEGRADED, each.sentence, closed_at(each.partition_date, measured.settling))
        for each in measured.volumes[:DAYS_TOLD]
        if each.sentence
    ]


def _rest(measured: Measured) -> list[Reason]:
    reasons = []
    if measured.enabled_teams and not measured.teams_with_data:
        text = (
            f"none of the {measured.enabled_teams} enabled teams has pageviews in the last {measured.days} days: "
            "check that events arrive, and web_analytics_source_events"
        )
        reasons.append(Reason(DEGRADED, text))
    if measured.leftovers:
        text = f"builds that broke off left locks or tables on {', '.join(measured.leftovers[:5])}"
        command = trigger_command("web_analytics_backfill", {"days_back": 1}, suffix=measured.suffix)
        reasons.append(Reason(DEGRADED, text, None, command))
    return reasons


def is_worth_a_message(
    verdict: str,
    previous_verdict: str | None,
    last_message_at: datetime | None,
    now: datetime,
    repeat: timedelta,
) -> bool:
    """Whether people are told: when the verdict changes, and again while it stays bad.

    :param previous_verdict: of the check before; None if there was none.
    :param last_message_at: when people were last told.
    """
    if verdict != (previous_verdict or OK):
        return True
    return verdict != OK and (last_message_at is None or now - last_message_at >= repeat)
