"""What a page of 25 teams over a year costs an API server that has just started, and a run over a year, with and without kept
states."""

from __future__ import annotations

import statistics
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from benchmarks.usage import process_usage

PAGE_OF_TEAMS = 25


def measure(clickhouse, pid: int, settings, teams: int, days: int, date_end: date) -> dict[str, float]:
    """CPU seconds of the server and seconds of a clock; of the pages medians of three.

    :param clickhouse: a server that :func:`benchmarks.detection.fill` has filled, with so many teams and days.
    """
    from web_analytics.api import dependencies
    from web_analytics.api.coverage import content, ranking, volumes
    from web_analytics.detection import activity, detector, kept_states
    from web_analytics.rules.partitions import ONE_DAY, DateRange
    from web_analytics.rules.states import GAP_KINDS

    results: dict[str, float] = {}
    clickhouse.run("benchmarks/fill_teams", {"teams": teams})
    enabled = range(1, teams + 1)
    year = DateRange(date_end - timedelta(days=days), date_end)
    known = activity.known_range(clickhouse, settings)

    def measured(name: str, work: Callable[[], object], before: Callable[[], None] | None = None) -> None:
        cpu, seconds = [], []
        for _ in range(3 if name.startswith("page") else 1):
            if before:
                before()
            used, started = process_usage(pid)[0], time.monotonic()
            work()
            seconds.append(time.monotonic() - started)
            cpu.append(process_usage(pid)[0] - used)
        results[f"{name}_s"], results[f"{name}_cpu_s"] = statistics.median(seconds), statistics.median(cpu)

    def page(length: int) -> Callable[[], None]:
        def read() -> None:
            shown = content.View(
                DateRange(date_end - timedelta(days=length), date_end + ONE_DAY),
                None,
                False,
                1,
                PAGE_OF_TEAMS,
            )
            asked = dependencies.connect(
                settings, "", settings.api_max_seconds, **dependencies.QUERY_SETTINGS
            )
            with asked as connection:
                content.read_page(connection, settings, shown, datetime.now(UTC))

        return read

    def started_anew() -> None:
        content.GAP_COUNTS, content.VOLUMES = ranking.GapCounts(), volumes.Volumes()

    def run() -> None:
        detector.insert_plan(clickhouse, settings, year, enabled, uuid.uuid4().hex, GAP_KINDS, known)

    measured("run_of_a_year_all_kinds", run)
    measured("page_30_days_cold", page(30), started_anew)
    measured("page_30_days", page(30))
    measured("page_of_a_year_nothing_kept", page(days), started_anew)
    measured("keep_a_year", lambda: kept_states.keep(clickhouse, settings, year, enabled, known))
    # While it runs, what was kept is merged.
    measured("run_of_a_year_all_kinds_kept", run)
    measured("page_30_days_kept_cold", page(30), started_anew)
    measured("page_30_days_kept", page(30))
    measured("page_of_a_year_kept_cold", page(days), started_anew)
    measured("page_of_a_year_kept", page(days))
    # As after a run, until the health's next check: something was written to the newest month.
    built = date_end - 2 * ONE_DAY
    clickhouse.run(
        "benchmarks/repeat_target_day",
        {"date_start": built, "date_end": built + ONE_DAY, "shift_days": -2},
        {"table": "web_pre_aggregated_stats"},
    )
    measured("page_of_a_year_newest_changed_cold", page(days), started_anew)
    measured("page_30_days_newest_changed_cold", page(30), started_anew)
    return results
