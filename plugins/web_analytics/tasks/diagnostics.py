"""The steps of ``web_analytics_diagnostics``, one function per task. They only read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from web_analytics.clickhouse.connection import ClickHouse, teams_table
from web_analytics.conf import BackfillConf, DiagnosticsConf
from web_analytics.detection import activity, detector, low_volume
from web_analytics.detection.coverage import coverage_query
from web_analytics.detection.detector import DetectionScope
from web_analytics.regions import region_suffix
from web_analytics.rules import gaps
from web_analytics.rules.decision import GapCount, decide
from web_analytics.rules.gaps import Gap
from web_analytics.rules.partitions import ONE_DAY, DateRange, closed_part, lookback
from web_analytics.rules.states import COMPLETE, GAP_KINDS
from web_analytics.settings import Settings
from web_analytics.tables import TABLES
from web_analytics.tasks.runtime import current_conf, current_task, open_clickhouse
from web_analytics.teams.selection import TeamSelection, select_teams
from web_analytics.text_tables import text_table

log = logging.getLogger(__name__)

MAX_TEAMS = 500
MAX_ROWS_IN_LOG = 200
GONE_DAYS_NAMED = 5
MAX_LOW_DAYS = 500
# The runs whose decision is made, with an instant at which the schedule fires them.
RUNS = {"6-hourly": None, "02:00": detector.NIGHTLY}


def check_missing_data() -> dict[str, Any]:
    """Counts team-days by state and makes the decision of the next scheduled runs.

    :returns: ``tables`` (team-days per state and the days concerned), and per run its decision.
    """
    settings = Settings.load()
    DiagnosticsConf.parse(current_conf())
    now = datetime.now(UTC)
    with open_clickhouse(settings, current_task(), settings.reader_conn_id) as clickhouse:
        return check(clickhouse, settings, now)


def check(clickhouse: ClickHouse, settings: Settings, now: datetime) -> dict[str, Any]:
    conf = BackfillConf.parse({}, settings)
    teams = select_teams(clickhouse, settings)
    partitions = detector.scope_of(conf, settings, now, None).partitions
    everything = DetectionScope(partitions, (*GAP_KINDS, COMPLETE), nightly=False)
    counts: list[GapCount] = []
    if partitions and teams:
        counts = detector.count_gaps(clickhouse, settings, everything, teams.team_ids)
    tables = {table.name: totals(counts, table.name) for table in TABLES}
    decisions = {}
    for name, fires_at in RUNS.items():
        logical_date = datetime.combine(now.date(), fires_at, UTC) if fires_at else None
        scope = detector.scope_of(conf, settings, now, logical_date)
        relevant = [count for count in counts if count.state in scope.states]
        decision = decide(relevant, detector.rule_of(conf, settings, scope, now), now)
        decisions[name] = decision.to_json()
    log.info(
        "%d teams on %d closed days from %s up to, not including, %s.\n%s",
        len(teams),
        len(partitions),
        partitions.start,
        partitions.end,
        describe_totals(tables),
    )
    for name, decided in decisions.items():
        log.info(
            "The %s run would %s: %s. Dates: %s.",
            name,
            "backfill" if decided["backfill"] else "skip",
            decided["reason"],
            ", ".join(decided["dates"]) or "none",
        )
    return {
        "teams": len(teams),
        "date_start": partitions.start.isoformat(),
        "date_end": partitions.end.isoformat(),
        "tables": tables,
        "decisions": decisions,
    }


def totals(counts: Sequence[GapCount], table_name: str) -> dict[str, Any]:
    """Of one table: team-days per state, days and raw pageviews with a gap, the oldest day with one."""
    of_table = [count for count in counts if count.table_name == table_name]
    broken = [count for count in of_table if count.state in GAP_KINDS]
    days = sorted({count.partition_date for count in broken})
    return {
        **{
            state: sum(count.teams for count in of_table if count.state == state)
            for state in (COMPLETE, *GAP_KINDS)
        },
        "days_with_gaps": len(days),
        "oldest_gap": days[0].isoformat() if days else None,
        "source_pageviews": sum(count.source_pageviews for count in broken),
    }


def describe_totals(tables: dict[str, dict[str, Any]]) -> str:
    states = (COMPLETE, *GAP_KINDS)
    return text_table(
        ("team-days of", *states, "days", "oldest", "pageviews"),
        [
            (
                name,
                *(counted[state] for state in states),
                counted["days_with_gaps"],
                counted["oldest_gap"] or "-",
                counted["source_pageviews"],
            )
            for name, counted in tables.items()
        ],
    )


def show_data_gaps() -> dict[str, Any]:
    """Lists the gaps of the run's range per table and team; the worst teams if there are many.

    :returns: ``gaps`` as rows, the numbers around them and one command that fills all; ``low_days`` with suspiciously few
        pageviews, and ``volumes``, what people are told of them.
    """
    settings, conf = Settings.load(), DiagnosticsConf.parse(current_conf())
    now = datetime.now(UTC)
    with open_clickhouse(settings, current_task(), settings.reader_conn_id) as clickhouse:
        report = find_gaps(clickhouse, settings, conf, select_teams(clickhouse, settings), now)
    found = report.pop("found")
    log.info("%s\n%s", report["summary"], gaps.describe(found[:MAX_ROWS_IN_LOG], region_suffix()))
    if len(found) > MAX_ROWS_IN_LOG:
        log.info("%d more lines are in the XCom and in the gap report.", len(found) - MAX_ROWS_IN_LOG)
    for sentence in report["volumes"]:
        log.warning("%s.", sentence)
    if report["low_days"]:
        log.info(
            "Days with suspiciously few pageviews for the weekday:\n%s", describe_low_days(report["low_days"])
        )
    if report["command"]:
        log.info("To fill all of it: %s", report["command"])
    return report


def find_gaps(
    clickhouse: ClickHouse, settings: Settings, conf: DiagnosticsConf, selected: TeamSelection, now: datetime
) -> dict[str, Any]:
    """What ``show_data_gaps`` returns, with the :class:`Gap` objects as ``found``.

    :param selected: all teams that are pre-aggregated; the conf may name some of them.
    """
    teams = selected.restricted_to(conf.team_ids)
    requested = lookback(now.astimezone(UTC).date(), conf.days_back)
    closed = closed_part(requested, now, settings.settling, settings.partitions_start_date)
    with_open_days = DateRange(closed.start, max(closed.end, now.astimezone(UTC).date() + ONE_DAY))
    rows: list[dict[str, Any]] = []
    if teams and with_open_days:
        coverage = coverage_query(clickhouse, settings, with_open_days)
        rows = clickhouse.query(
            "tasks/team_gaps",
            {**coverage.parameters, "open_from": closed.end, "team_limit": MAX_TEAMS},
            coverage.names,
            external_tables=[teams_table(teams.team_ids)],
            heavy=True,
        )
    known = activity.known_range(clickhouse, settings)
    volumes = low_volume.find(clickhouse, settings, closed, selected.team_ids, known)
    low_days = [each for day in volumes for each in day.low if each.team_id in teams.team_ids]
    found: list[Gap] = []
    for table in TABLES:
        for row in rows:
            found += gaps.gaps_of(
                row["team_id"],
                table.name,
                closed,
                row["known_days"],
                row[f"{table.short_name}_days"],
                settings.settling,
                now,
            )
    # What is to be filled comes before what is only said: idle, open and small days.
    found.sort(key=lambda gap: gap.kind not in GAP_KINDS)
    with_gaps = int(rows[0]["teams_with_gaps"]) if rows else 0
    summary = (
        f"{with_gaps} of {len(teams)} teams have gaps on {len(closed)} closed days from {closed.start} up to, "
        f"not including, {closed.end}."
    )
    if gone := [(row["team_id"], day) for row in rows for day in row["gone_days"]]:
        named = ", ".join(f"team {team_id} {day}" for team_id, day in gone[:GONE_DAYS_NAMED])
        summary += f" Of {len(gone)} team-days the rows are gone since they were built: {named}"
        summary += ", …." if len(gone) > GONE_DAYS_NAMED else "."
    left_out = int(rows[0]["teams_to_list"]) - len(rows) if rows else 0
    if left_out:
        summary += (
            f" The {len(rows)} worst teams are listed, {left_out} are not; name team_ids to see others."
        )
    suffix = region_suffix()
    return {
        "summary": summary,
        "checked_at": now.isoformat(timespec="seconds"),
        "date_start": closed.start.isoformat(),
        "date_end": closed.end.isoformat(),
        "teams": len(teams),
        "teams_with_gaps": with_gaps,
        "command": gaps.fill_all_command(
            found, conf.team_ids, suffix=suffix, within=closed if left_out else None
        ),
        "volumes": [day.sentence for day in volumes if day.sentence],
        "low_days": [
            {
                "team_id": each.team_id,
                "date": each.partition_date.isoformat(),
                "pageviews": each.pageviews,
                "usual_pageviews": each.usual,
            }
            for each in low_days[:MAX_LOW_DAYS]
        ],
        "gaps": [gap.to_row(suffix) for gap in found],
        "found": found,
    }


def describe_low_days(low_days: Sequence[dict[str, Any]]) -> str:
    """The days with suspiciously few pageviews as an aligned table."""
    return text_table(
        ("day", "team", "pageviews", "usually"),
        [(row["date"], row["team_id"], row["pageviews"], row["usual_pageviews"]) for row in low_days],
    )
