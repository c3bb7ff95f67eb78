"""What goes on: the newest decisions, the verdict of the health check, and how far each backfill has come.

Told by what the builds leave in ClickHouse: log, locks, ledger. Which runs are active, Airflow says.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from web_analytics.api.coverage.content import instant
from web_analytics.clickhouse.connection import ClickHouse, Row, teams_table
from web_analytics.detection.cost import earlier_builds
from web_analytics.errors import QueryFailed
from web_analytics.rules.cost import estimate as estimate_cost
from web_analytics.rules.partitions import DateRange
from web_analytics.settings import Settings
from web_analytics.teams.selection import select_teams

BACKFILL = "web_analytics_backfill"
# A run takes hours at most; of older ones nothing is under way.
LOOK_BACK = timedelta(days=2)
BUILDS_READ = 20
UNKNOWN_TABLE = 60


def read_status(clickhouse: ClickHouse, settings: Settings, dag_suffix: str, now: datetime) -> dict[str, Any]:
    """What the head of the page tells; in ISO 8601, and None where there is nothing to tell.

    :param dag_suffix: of the region's DAGs.
    :returns: ``health`` (with its ``service_level``, or None), the decisions ``scheduled`` and ``newest``, the newest ``builds`` with their progress, and
        ``locks``: which run is building which date.
    """
    decisions = clickhouse.query("api/last_decisions", {"dag_id": BACKFILL + dag_suffix})
    checks = clickhouse.query("api/last_health")
    locks = clickhouse.query("api/list_locks")
    builds = clickhouse.query("api/list_builds", {"since": now - LOOK_BACK, "row_limit": BUILDS_READ})
    usual = usual_seconds(builds)
    told = [_decision(row) for row in decisions]
    return {
        "now": now.isoformat(),
        "health": _health(checks[0]) if checks else None,
        "scheduled": next((each for each in told if each["is_scheduled"]), None),
        "newest": max(told, key=lambda each: each["logged_at"], default=None),
        "builds": [
            {
                "dag_id": build["dag_id"],
                "run_id": build["run_id"],
                "decided_at": instant(build["decided_at"]),
                "dates": build["dates"],
                "published": build["published"],
                "failed": sorted(set(build["failed"]) - set(build["published"])),
                "seconds_left": None if build["waits_for_approval"] else seconds_left(build, usual, now),
                "waits_for_approval": bool(build["waits_for_approval"]),
                "waiting": sorted(set(build["waited"]) - set(build["waited_enough"])),
                "why_waiting": build["why_waiting"],
                "waits": [_wait(clickhouse, settings, lock) for lock in locks if waits_for(build, lock)],
            }
            for build in builds
        ],
        "locks": [{**_public_lock(lock), "date": lock["partition_date"].isoformat()} for lock in locks],
        "seconds_per_date": usual,
    }


def _health(row: Row) -> dict[str, Any]:
    level = json.loads(row["service_level"] or "null")
    return {**row, "logged_at": instant(row["logged_at"]), "service_level": level}


def _decision(row: Row) -> dict[str, Any]:
    return {**row, "is_scheduled": bool(row["is_scheduled"]), "logged_at": instant(row["logged_at"])}


def _public_lock(lock: Row) -> dict[str, Any]:
    return {"dag_id": lock["dag_id"], "run_id": lock["run_id"], "since": instant(lock["since"])}


def waits_for(build: Row, lock: Row) -> bool:
    """Whether a date of the build is held by another run."""
    day = lock["partition_date"].isoformat()
    is_left = day in build["dates"] and day not in build["published"]
    return is_left and (lock["dag_id"], lock["run_id"]) != (build["dag_id"], build["run_id"])


def _wait(clickhouse: ClickHouse, settings: Settings, lock: Row) -> dict[str, Any]:
    """For whom a date waits, and until when at the latest: then the lock is abandoned, if no query of it runs."""
    until = None
    try:
        renewal = clickhouse.query(
            "build/read_lock_renewal", {"token": lock["token"]}, {"lock_table": lock["lock_table"]}
        )[0]
        until = max(renewal["renewed_at"], lock["since"]) + settings.lock_ttl
    except QueryFailed as error:
        if error.code != UNKNOWN_TABLE:
            raise
        # It was released just now.
    return {
        **_public_lock(lock),
        "date": lock["partition_date"].isoformat(),
        "until": instant(until) if until else None,
    }


def usual_seconds(builds: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds of the clock that a date has taken in the newest runs; None where no run has published one."""
    rates = [rate for build in builds if (rate := _seconds_per_date(build))]
    return median(rates) if rates else None


def _seconds_per_date(build: Mapping[str, Any]) -> float | None:
    if not build["published"]:
        return None
    return (build["last_published_at"] - build["decided_at"]).total_seconds() / len(build["published"])


def seconds_left(build: Mapping[str, Any], usual: float | None, now: datetime) -> float | None:
    """How long the dates that are left will take, going by those of this run, else by those of earlier ones.

    :param usual: seconds for each date of earlier runs; None where there are none.
    :returns: at least 0; None where no date has ever been published.
    """
    left = len(set(build["dates"]) - set(build["published"]))
    rate = _seconds_per_date(build) or usual
    if rate is None:
        return None
    since = build["last_published_at"] if build["published"] else build["decided_at"]
    return max(0.0, rate * left - (now - since).total_seconds())


def estimate(
    clickhouse: ClickHouse, settings: Settings, dates: DateRange, team_ids: Collection[int], now: datetime
) -> dict[str, Any]:
    """What building all these dates would take, before anybody asks for it.

    :param team_ids: empty for all selected teams.
    """
    selected = select_teams(clickhouse, settings).team_ids
    teams = selected.intersection(team_ids) if team_ids else selected
    rows = clickhouse.query(
        "detection/estimate_source_read",
        {"date_start": dates.start, "date_end": dates.end},
        external_tables=[teams_table(teams)],
    )
    builds = clickhouse.query("api/list_builds", {"since": now - LOOK_BACK, "row_limit": BUILDS_READ})
    usual = usual_seconds(builds)
    # A date reads its own day and the next one: all but the ends of the range are read twice.
    days_read, days = 2 * len(dates), len(dates) + 1
    source_rows = sum(int(row["rows"]) for row in rows) * days_read // days
    of_a_date = estimate_cost(source_rows // max(1, len(dates)), earlier_builds(clickhouse, now))
    return {
        "dates": len(dates),
        "teams": len(teams),
        "rows": of_a_date.rows * len(dates),
        "seconds": None if usual is None else usual * len(dates),
    }
