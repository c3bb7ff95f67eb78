"""The step of ``web_analytics_health``: measures, judges, and tells whoever has to know."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, timedelta
from typing import Any

from web_analytics.build import locks
from web_analytics.build.locks import RunActivity
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.conf import MAX_RANGE_DAYS, HealthConf
from web_analytics.detection import activity, detector, kept_states, low_volume, service_level
from web_analytics.detection.coverage import coverage_query
from web_analytics.detection.detector import DetectionScope
from web_analytics.regions import region_suffix
from web_analytics.reporting import alerts, metrics
from web_analytics.rules import health
from web_analytics.rules.decision import GapCount
from web_analytics.rules.health import FAILING, Health, Measured
from web_analytics.rules.partitions import DateRange, closed_part, lookback
from web_analytics.rules.service_level import rounded_down
from web_analytics.rules.states import COMPLETE, GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tasks.runtime import current_conf, current_task, open_clickhouse, run_activity
from web_analytics.teams.selection import TeamSelection, select_teams
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)

BACKFILL = "web_analytics_backfill"


class HealthFailing(RuntimeError):
    """The verdict is failing; the run is red so that it is seen."""

    code = "health_failing"


class MessageNotSent(RuntimeError):
    """The check is made and recorded, but a channel could not be told; the next check tells again."""

    code = "message_not_sent"


def check_health() -> dict[str, Any]:
    """Measures, judges, writes the outcome to the history and the metrics, and sends a message if it is worth one.

    :returns: the verdict with its reasons, and the metrics by name.
    :raises HealthFailing: the verdict is failing.
    :raises MessageNotSent: a channel could not be told.
    """
    settings, conf = Settings.load(), HealthConf.parse(current_conf())
    now = datetime.now(UTC)
    task = current_task()
    with open_clickhouse(settings, task) as clickhouse:
        previous = last_check(clickhouse)
        measured, numbers = measure(clickhouse, settings, conf.days, previous, now)
        judged = health.judge(measured, health.THRESHOLDS, now)
        report = {
            **judged.to_json(),
            "checked_at": now.isoformat(),
            "oldest_gap": _text(measured.coverage.oldest_gap),
            "oldest_gap_since": _text(measured.oldest_gap_since),
            "metrics": numbers,
            "failures": [
                {**each, "first_at": _text(each["first_at"]), "last_at": _text(each["last_at"])}
                for each in measured.failures
            ],
            "leftovers": list(measured.leftovers),
            "service_level": measured.service_level and measured.service_level.to_json(),
        }
        unsent = None
        try:
            report["last_message_at"] = _tell(settings, task, judged, measured, previous, now)
        except ExceptionGroup as error:
            # Another try of this task would tell the other channels once more.
            report["last_message_at"], unsent = None, error
        history.append(
            clickhouse,
            task,
            kind="health",
            status=judged.verdict,
            reason=judged.sentence,
            team_count=measured.enabled_teams,
            details=report,
        )
    metrics.send(numbers)
    log.info("Verdict: %s: %s.\n%s", judged.verdict, judged.sentence, describe(judged, numbers))
    if unsent is not None:
        said = "; ".join(str(each) for each in unsent.exceptions)
        raise MessageNotSent(
            f"The verdict is {judged.verdict}: {judged.sentence}. Not everybody could be told: {said}"
        ) from unsent
    if judged.verdict == FAILING:
        raise HealthFailing(f"The pre-aggregation is failing: {judged.sentence}.")
    return report


def keep_states() -> list[str]:
    """Looks at the months of a year to which something was written since they were last looked at, and keeps what it finds of
    their closed days for the coverage page and for runs over long ranges.

    :returns: the months that were looked at.
    """
    settings, now = Settings.load(), datetime.now(UTC)
    first = now.astimezone(UTC).date() - timedelta(days=MAX_RANGE_DAYS)
    days = DateRange(first.replace(day=1), now.astimezone(UTC).date())
    with open_clickhouse(settings, current_task()) as clickhouse:
        known = activity.known_range(clickhouse, settings)
        if known.known_from is None:
            log.info("Nothing is known of the source yet: no run has looked for gaps.")
            return []
        closed = closed_part(
            days, now, settings.settling, max(settings.partitions_start_date, known.known_from)
        )
        teams = select_teams(clickhouse, settings).team_ids
        looked_at = kept_states.keep(clickhouse, settings, closed, teams, known)
    names = [f"{month.start:%Y-%m}" for month in looked_at]
    log.info("Looked at and kept: %s.", ", ".join(names) or "no month, since nothing was written to any")
    return names


def measure(
    clickhouse: ClickHouse, settings: Settings, days: int, previous: dict[str, Any] | None, now: datetime
) -> tuple[Measured, dict[str, float]]:
    """What the verdict depends on, and the metrics by name (metrics.py documents them)."""
    today = now.astimezone(UTC).date()
    closed = closed_part(
        lookback(today, max(days, settings.lookback_days)),
        now,
        settings.settling,
        settings.partitions_start_date,
    )
    metrics_from = max(closed.start, today - timedelta(days=days))
    teams = select_teams(clickhouse, settings)
    counts: list[GapCount] = []
    freshness: dict[str, Any] = {"teams_with_data": 0}
    if teams and closed:
        scope = DetectionScope(closed, (*GAP_KINDS, COMPLETE), nightly=False)
        counts = detector.count_gaps(clickhouse, settings, scope, teams.team_ids)
        freshness = _team_freshness(clickhouse, settings, closed, metrics_from, teams)
    covered = health.coverage(counts, closed, metrics_from)
    since = {"since": now - timedelta(days=days)}
    attempts = clickhouse.query("tasks/attempt_metrics", since)[0]
    runs = clickhouse.query("tasks/last_runs", {"dag_id": BACKFILL + region_suffix()})[0]
    costs = _costs(clickhouse, since, attempts)
    known = activity.known_range(clickhouse, settings)
    judged = closed.intersect(DateRange(metrics_from, closed.end))
    volumes = low_volume.find(clickhouse, settings, judged, teams.team_ids, known)
    measured = Measured(
        coverage=covered,
        enabled_teams=len(teams),
        teams_with_data=freshness["teams_with_data"],
        oldest_gap_since=health.gap_since(covered.oldest_gap, previous, settings.settling),
        last_decision_at=runs["last_decision_at"] if runs["decisions"] else None,
        last_success_at=runs["last_success_at"] if runs["successes"] else None,
        attempts=attempts["attempts"],
        succeeded=attempts["succeeded"],
        failures=tuple(clickhouse.query("tasks/failures_by_code", since)),
        leftovers=tuple(day.isoformat() for day in leftovers(clickhouse, settings, now)),
        activity_lag_hours=_hours(known.scanned_at, now) if activity.is_kept(settings) else None,
        volumes=tuple(volumes),
        service_level=service_level.measure(clickhouse, settings, teams.team_ids, known, now),
        settling=settings.settling,
        days=days,
        suffix=region_suffix(),
    )
    numbers: dict[str, float | None] = {
        "enabled_teams": measured.enabled_teams,
        "teams_without_recent_data": measured.enabled_teams - measured.teams_with_data,
        "missing_partitions": covered.missing_partitions,
        "stale_days": covered.stale_days,
        "oldest_gap_hours": _hours(measured.oldest_gap_since, now) or 0.0,
        "freshness_hours": health.hours_since_day(covered.newest_complete_day, now),
        "leftover_dates": len(measured.leftovers),
        "activity_lag_hours": measured.activity_lag_hours,
        "last_success_hours": _hours(measured.last_success_at, now),
        "attempts": measured.attempts,
        "success_percent": measured.success_percent,
        "dates_built": attempts["dates_built"],
        "backfill_seconds": round(attempts["seconds"], 3),
        "attempt_seconds_p50": round(attempts["seconds_p50"], 3),
        "attempt_seconds_max": round(attempts["seconds_max"], 3),
        **costs,
    }
    if volumes:
        numbers["low_volume_team_days"] = sum(len(each.low) for each in volumes)
        numbers["fallen_teams_percent"] = _percent(volumes[0].fallen, volumes[0].judged)
    if level := measured.service_level:
        numbers["service_level_percent"] = rounded_down(level.percent)
        numbers["error_budget_left_percent"] = rounded_down(level.budget_left_percent)
        numbers["burn_rate"] = rounded_down(level.burn_rate)
    for table, percent in covered.percent.items():
        numbers[f"coverage_percent.{table}"] = percent
    for name in ("p50", "p95", "worst"):
        numbers[f"team_freshness_hours.{name}"] = health.hours_since_day(freshness.get(f"day_{name}"), now)
    return measured, {name: value for name, value in numbers.items() if value is not None}


def _team_freshness(
    clickhouse: ClickHouse, settings: Settings, closed: DateRange, data_since: date, teams: TeamSelection
) -> dict[str, Any]:
    coverage = coverage_query(clickhouse, settings, closed)
    row = clickhouse.query(
        "tasks/team_freshness",
        {**coverage.parameters, "data_since": data_since},
        coverage.names,
        external_tables=[teams_table(teams.team_ids)],
        heavy=True,
    )[0]
    # Without any team with data, the quantiles are of nothing.
    return row if row["day_worst"] >= closed.start - timedelta(days=1) else {"teams_with_data": 0}


def _costs(
    clickhouse: ClickHouse, since: dict[str, Any], attempts: dict[str, Any]
) -> dict[str, float | None]:
    """From the server's query log where there is one; otherwise what the driver reported of each attempt."""
    driver = {"rows_read": attempts["rows_read"], "bytes_read": attempts["bytes_read"]}
    if not clickhouse.query("tasks/has_query_log")[0]["has_query_log"]:
        return driver
    row = clickhouse.query("tasks/query_log_costs", since)[0]
    if not row["statements"]:
        return driver
    return {
        "rows_read": row["rows_read"],
        "bytes_read": row["bytes_read"],
        "peak_memory_bytes": row["peak_memory_bytes"],
        "cpu_seconds": round(row["cpu_seconds"], 3),
        "cpu_percent_of_server": round(row["cpu_percent"], 3),
    }


def leftovers(clickhouse: ClickHouse, settings: Settings, now: datetime, activity=run_activity) -> list[date]:
    """Dates with a lock or per-run tables that no active run owns."""
    found = []
    for row in clickhouse.query("build/list_locked_dates"):
        partition_date = datetime.strptime(row["partition_id"], "%Y%m%d").date()  # noqa: DTZ007
        held = locks.find(clickhouse, partition_date)
        if held is not None:
            active = activity(held.lock.owner)
            is_old = now - held.since > settings.lock_ttl
            if active is RunActivity.ACTIVE or (active is RunActivity.UNKNOWN and not is_old):
                continue
        found.append(partition_date)
    return found


def last_check(clickhouse: ClickHouse) -> dict[str, Any] | None:
    """The check before this one, with its dates and instants; None if there was none."""
    rows = clickhouse.query("tasks/last_health")
    if not rows:
        return None
    details = json.loads(rows[0]["details"])
    oldest = details["oldest_gap"]
    return {
        "verdict": rows[0]["status"],
        "checked_at": datetime.fromisoformat(details["checked_at"]),
        "oldest_gap": date.fromisoformat(oldest) if oldest else None,
        "oldest_gap_since": datetime.fromisoformat(details["oldest_gap_since"]) if oldest else None,
        "last_message_at": (
            datetime.fromisoformat(details["last_message_at"]) if details["last_message_at"] else None
        ),
    }


def _tell(
    settings: Settings,
    task: TaskIdentity,
    judged: Health,
    measured: Measured,
    previous: dict[str, Any] | None,
    now: datetime,
) -> str | None:
    """Sends a message if it is worth one.

    :returns: when people were last told, as text.
    """
    before = previous or {"verdict": None, "last_message_at": None}
    if not health.is_worth_a_message(
        judged.verdict, before["verdict"], before["last_message_at"], now, settings.alert_repeat
    ):
        return _text(before["last_message_at"])
    alerts.send(
        settings,
        alerts.Message(
            title=f"Web analytics pre-aggregation is {judged.verdict}",
            what=judged.sentence,
            since=judged.since,
            teams=measured.enabled_teams,
            commands=tuple(judged.commands),
            days=(oldest,) if (oldest := measured.coverage.oldest_gap) else (),
            dag_id=task.dag_id,
            run_id=task.run_id,
        ),
    )
    return _text(now)


def describe(judged: Health, numbers: dict[str, float]) -> str:
    lines = [
        f"{reason.severity:<10}{reason.text}" + (f"; run: {reason.command}" if reason.command else "")
        for reason in judged.reasons
    ]
    return "\n".join([*lines, text_table(("metric", "value"), sorted(numbers.items()), number=",.15g")])


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _hours(instant: datetime | None, now: datetime) -> float | None:
    return None if instant is None else round((now - instant).total_seconds() / 3600, 1)


def _text(instant: date | datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()
