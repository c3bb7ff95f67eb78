"""The package's own metrics, through Airflow's Stats: StatsD or OpenTelemetry, whichever Airflow is configured for."""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "web_analytics"

# What each gauge means; docs/operations.md has this table. Costs and rates are over the health run's ``days``.
GAUGES = {
    "enabled_teams": "teams that are pre-aggregated",
    "teams_without_recent_data": "of these the ones without a pageview in the period",
    "coverage_percent.stats": "of the (team, day) with something to hold, those complete in the stats table",
    "coverage_percent.bounces": "the same of the bounces table",
    "missing_partitions": "missing (table, day) pairs, as the ≥3 rule counts them",
    "stale_days": "days of which the source holds other events than their build read",
    "oldest_gap_hours": "how long the oldest missing, inconsistent or orphan day has waited; 0 without one",
    "freshness_hours": "hours since the end of the newest day that is complete for all teams",
    "team_freshness_hours.p50": "hours since the end of a team's newest day without a gap: half of the teams have less",
    "team_freshness_hours.p95": "95 % of the teams have less",
    "team_freshness_hours.worst": "of the team that is furthest behind",
    "last_success_hours": "hours since a run of web_analytics_backfill did all that it had decided",
    "activity_lag_hours": "hours since the kept activity was refreshed; only where it is kept",
    "low_volume_team_days": "days of teams with suspiciously few pageviews for the weekday, in the period",
    "fallen_teams_percent": "teams with under 80 % of their usual weekday on the newest day that was judged",
    "service_level_percent": "of the days of teams of 30 days, those complete in time; only where the activity is kept",
    "error_budget_left_percent": "of the days of teams that may be late in 30 days; below 0 where more were",
    "burn_rate": "how many times as many days of teams were late in the last 3 days as the objective allows",
    "leftover_dates": "dates with locks or tables of builds that broke off",
    "attempts": "attempts of steps that build",
    "success_percent": "of these the ones that succeeded",
    "dates_built": "dates published",
    "backfill_seconds": "seconds that the attempts took together",
    "attempt_seconds_p50": "median of an attempt",
    "attempt_seconds_max": "longest attempt",
    "rows_read": "rows that backfills read in ClickHouse",
    "bytes_read": "bytes that backfills read in ClickHouse",
    "peak_memory_bytes": "highest memory of one statement of a backfill; only where the server keeps a query_log",
    "cpu_seconds": "CPU time of backfills; only where the server keeps a query_log",
    "cpu_percent_of_server": "of the CPU time of all queries; only where the server keeps a query_log",
}


def send(numbers: Mapping[str, float]) -> None:
    """Sends each number as the gauge ``web_analytics.<name>``.

    :raises KeyError: a name that is not documented in :data:`GAUGES`.
    """
    from airflow.sdk.observability.stats import Stats

    for name, value in numbers.items():
        if name not in GAUGES:
            raise KeyError(name)
        Stats.gauge(f"{PREFIX}.{name}", value)
