"""``make bench``: what building a day and detecting cost, and what a dashboard's reader feels of a backfill.

Figures of one run on one machine; compare ratios, not seconds. Writes .bench/latest.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, date, datetime
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
sys.path.insert(0, str(CHECKOUT / "plugins"))

# After the lines above: what follows reads them when it is imported.
from benchmarks import build as build_benchmark  # noqa: E402
from benchmarks import cost as cost_benchmark  # noqa: E402
from benchmarks import detection as detection_benchmark  # noqa: E402
from benchmarks import freshness, layouts, low_volume, orchestration, page, publish, shards, transport  # noqa: E402
from benchmarks import reader as reader_benchmark  # noqa: E402
from benchmarks.server import fresh_server  # noqa: E402
from benchmarks.usage import process_usage  # noqa: E402
from demo import sample_data  # noqa: E402
from web_analytics import schema  # noqa: E402
from web_analytics.build import steps  # noqa: E402
from web_analytics.clickhouse.connection import ClickHouse  # noqa: E402
from web_analytics.detection import cost, detector  # noqa: E402
from web_analytics.rules.cost import BuiltDate  # noqa: E402
from web_analytics.rules.partitions import ONE_DAY, lookback, newest_closed_day, newest_first  # noqa: E402
from web_analytics.rules.states import MISSING  # noqa: E402
from web_analytics.settings import Settings  # noqa: E402
from web_analytics.teams.selection import select_teams  # noqa: E402

EVENTS, QUICK_EVENTS = 5_000_000, 1_000_000
DAYS, QUICK_DAYS = 7, 3
READER_QUERIES, QUICK_READER_QUERIES = 2000, 300


def measure_events(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """Detection on events, on four times the events, then building a day of them."""
    rounds = 3 if quick else 7
    # The events of the second step are four times those of the first.
    sessions, days = (60_000, 12) if quick else (900_000, 35)
    results: dict[str, float] = {}
    with fresh_server() as (_, server, clickhouse):
        build_benchmark.create(clickhouse, settings)
        at_size = {}
        for times, first in ((1, 0), (4, sessions)):
            build_benchmark.fill(clickhouse, first, times * sessions, days, today)
            at_size[times] = detection_benchmark.measure_on_events(
                clickhouse, server.pid, settings, days, today, rounds
            )
        for name, value in at_size[4].items():
            results[name] = value
            results[f"{name.removesuffix('_cpu_s')}_growth_events_4x"] = value / max(at_size[1][name], 0.001)
        results["detect_growth_events_4x"] = results["detect_kept_growth_events_4x"]
        build_benchmark.repeat_and_merge_some(clickhouse)
        results |= build_benchmark.measure(clickhouse, server.pid, settings, today - 3 * ONE_DAY, rounds)
        results |= publish.measure(clickhouse, server.pid, today - 2 * ONE_DAY, rounds)
    return results


def measure_teams(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """Detection for many teams, without events."""
    sizes = ((2_000, 30), (20_000, 30)) if quick else ((2_000, 30), (20_000, 30), (20_000, 365))
    results: dict[str, float] = {}
    for teams, length in sizes:
        with fresh_server() as (_, server, clickhouse):
            detection_benchmark.fill(clickhouse, settings, teams, length, today)
            results |= detection_benchmark.measure(
                clickhouse, server.pid, settings, teams, length, today, rounds=5
            )
            results |= detection_benchmark.measure_service_level(
                clickhouse, server.pid, settings, teams, length, today, rounds=5
            )
            clickhouse.run("benchmarks/flush_logs")
            peak = clickhouse.query("benchmarks/peak_memory", {"statement": "detection/count_gaps"})
            results[f"detect_peak_mb_{teams // 1000}k_teams_{length}_days"] = peak[0]["megabytes"]
    base = results["detect_cpu_s_20k_teams_30_days"]
    results["detect_growth_teams_10x"] = base / max(results["detect_cpu_s_2k_teams_30_days"], 0.001)
    if not quick:
        results["detect_growth_days_12x"] = results["detect_cpu_s_20k_teams_365_days"] / base
    return results


def measure_run(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """A run of seven dates under the scheduler; not in a quick benchmark."""
    if quick:
        return {}
    with fresh_server() as (folder, server, _):
        return orchestration.measure(folder, server, EVENTS)


def measure_freshness(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """What dashboards pay for asking how fresh a team's 30 days are, of 20,000 teams and a year."""
    teams, length = (2_000, 60) if quick else (20_000, 365)
    with fresh_server() as (_, _, clickhouse):
        detection_benchmark.fill(clickhouse, settings, teams, length, today)
        return freshness.measure(clickhouse, settings, today, rounds=11)


def measure_page(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """A page and a run over a year of 20,000 teams, with and without kept states."""
    teams, length = (2_000, 60) if quick else (20_000, 365)
    with fresh_server() as (_, server, clickhouse):
        detection_benchmark.fill(clickhouse, settings, teams, length, today)
        return page.measure(clickhouse, server.pid, settings, teams, length, today)


@contextlib.contextmanager
def data_for_readers(settings: Settings, today: date, quick: bool):
    """A server with events of some days and two connections to it: (server, one, another, days, teams)."""
    with fresh_server() as (_, server, clickhouse), ClickHouse("clickhouse_default") as reader:
        sample_data.create_source(clickhouse)
        schema.create_tables(clickhouse)
        schema.create_source_view(clickhouse, settings)
        sample_data.load(clickhouse, today, events=QUICK_EVENTS if quick else EVENTS)
        teams = select_teams(clickhouse, settings).team_ids
        newest = newest_closed_day(datetime.now(UTC), settings.settling)
        days = newest_first(lookback(newest + ONE_DAY, QUICK_DAYS if quick else DAYS))
        yield server, clickhouse, reader, days, teams


def measure_reader(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """A dashboard's reader beside a backfill."""
    results: dict[str, float] = {}
    with data_for_readers(settings, today, quick) as (server, clickhouse, reader, days, teams):
        scope = detector.DetectionScope(lookback(days[0] + ONE_DAY, 30), (MISSING,), nightly=False)
        started = time.monotonic()
        detector.count_gaps(clickhouse, settings, scope, teams)
        results["detect_30_days_s"] = time.monotonic() - started

        steps.build_partition(clickhouse, settings, days[0], teams)  # a warm-up, not counted
        seconds, cpu, costs = [], [], []
        for day in days:
            size = cost.source_rows(clickhouse, day, teams)
            first_statement = len(clickhouse.statistics)
            cpu_before, _ = process_usage(server.pid)
            started = time.monotonic()
            built = steps.build_partition(clickhouse, settings, day, teams)
            seconds.append(time.monotonic() - started)
            costs.append(BuiltDate(size, cost_benchmark.cost_of(clickhouse.statistics[first_statement:])))
            cpu.append(process_usage(server.pid)[0] - cpu_before)
        results["day_pageviews"] = built["pageviews"]
        results["build_day_s"] = statistics.median(seconds)
        results["build_day_server_cpu_s"] = statistics.median(cpu)
        results["server_peak_mb"] = process_usage(server.pid)[1]
        results |= cost_benchmark.errors(costs)
        results |= cost_benchmark.asking(clickhouse, server.pid, days[0], list(teams))
        results |= reader_benchmark.measure(
            reader,
            clickhouse,
            settings,
            days,
            teams,
            QUICK_READER_QUERIES if quick else READER_QUERIES,
            "default",
        )
    return results


def measure_knobs(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """The same reader beside builds with other settings."""
    results: dict[str, float] = {}
    with data_for_readers(settings, today, quick) as (_, clickhouse, reader, days, teams):
        steps.build_partition(clickhouse, settings, days[0], teams)  # a warm-up, not counted
        for name in reader_benchmark.KNOBS:
            queries = QUICK_READER_QUERIES if quick else READER_QUERIES
            results |= reader_benchmark.measure(reader, clickhouse, settings, days, teams, queries, name)
    return results


def measure_volume(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """Days with suspiciously few pageviews: precision and recall of injected drops, false alarms, CPU for 20,000 teams."""
    with fresh_server() as (_, server, clickhouse):
        schema.create_tables(clickhouse)
        results = low_volume.measure_quality(clickhouse, settings, today, range(1, 3 if quick else 6))
        clickhouse.run("benchmarks/truncate", names={"table": "web_analytics_activity"})
        return results | low_volume.measure_cost(clickhouse, server.pid, settings, today, rounds=5)


def measure_transport(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """A build by the native protocol and over HTTP, on ClickHouse's own listener; needs npm."""
    sessions, rounds = (60_000, 5) if quick else (300_000, 15)
    return transport.measure(settings, today, sessions=sessions, days=12, rounds=rounds)


def measure_shards(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """A build of one, four and sixteen times the events, on one node and on two shards; needs npm."""
    # About six events each: 600,000 a day, as the other parts have.
    return shards.measure(
        settings, today, sessions_a_day=25_000 if quick else 100_000, rounds=2 if quick else 3
    )


def measure_layouts(settings: Settings, today: date, quick: bool) -> dict[str, float]:
    """Building a day of events that lie on disk in other ways than PostHog's."""
    # 600,000 events a day, as the other parts have.
    sessions_a_day, days, rounds = (10_000, 12, 3) if quick else (100_000, 12, 7)
    return layouts.measure(settings, today, sessions=sessions_a_day * days, days=days, rounds=rounds)


PARTS = {
    "teams": measure_teams,
    "reader": measure_reader,
    "freshness": measure_freshness,
    "page": measure_page,
    "knobs": measure_knobs,
    "run": measure_run,
    "events": measure_events,
    "volume": measure_volume,
    "transport": measure_transport,
    "layouts": measure_layouts,
    "shards": measure_shards,
}
# What is measured only where it is asked for.
BY_NAME = {"knobs", "layouts", "shards", "transport"}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less data")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this one; may be repeated")
    options = parser.parse_args(arguments)
    logging.getLogger("web_analytics").setLevel(logging.WARNING)
    settings, today = Settings.load({}), datetime.now(UTC).date()
    folder = CHECKOUT / ".bench"
    folder.mkdir(exist_ok=True)
    results: dict[str, float] = {}
    for name in options.part or [part for part in PARTS if part not in BY_NAME]:
        print(f"{datetime.now():%H:%M:%S} {name}: {PARTS[name].__doc__}", flush=True)  # noqa: DTZ005
        found = PARTS[name](settings, today, options.quick)
        for key, value in found.items():
            print(f"{key:<44}{value:>14.3f}", flush=True)
        # After each part: what was measured stays, whatever becomes of the next one.
        results |= found
        (folder / "latest.json").write_text(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
