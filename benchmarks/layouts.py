"""What a build costs where the same events lie on disk in another way than PostHog's.

A granule of PostHog's table holds several days of a small team, and is read as a whole. Measured: smaller granules, a
partition for each day, and a skip index or a projection that an installation may add. Each layout is a database of one
server, and the layouts build the day in turn.
"""

from __future__ import annotations

import contextlib
import os
import statistics
from datetime import date, timedelta

from benchmarks import build as build_benchmark
from benchmarks.build import Layout
from benchmarks.server import fresh_server

LAYOUTS = {
    "as_posthog": Layout(),
    "granules_2048": Layout(granule_rows=2048),
    "granules_1024": Layout(granule_rows=1024),
    "by_day": Layout(by_day=True),
    "skip_index": Layout(with_index=True),
    "projection": Layout(with_projection=True),
}
# No projection is read unless an installation says so.
HEAVY_SETTINGS = {"projection": {"optimize_use_projections": 1}}


def measure(settings, today: date, *, sessions: int, days: int, rounds: int) -> dict[str, float]:
    """Medians of rounds, the size of the events on disk, and each layout's CPU as a multiple of PostHog's.

    :raises RuntimeError: the layouts have not built the same pageviews.
    """
    from web_analytics.build.steps import build_partition
    from web_analytics.clickhouse.connection import ClickHouse

    teams, day = build_benchmark.enabled_teams(), today - timedelta(days=3)
    measured: dict[str, dict[str, list[float]]] = {name: {} for name in LAYOUTS}
    with contextlib.ExitStack() as stack:
        _, server, clickhouse = stack.enter_context(fresh_server())
        connections = {}
        for name, layout in LAYOUTS.items():
            clickhouse.client.execute(f"CREATE DATABASE {name} ENGINE = Atomic")
            os.environ[f"AIRFLOW_CONN_{name.upper()}"] = server.uri(name)
            connection = connections[name] = stack.enter_context(
                ClickHouse(name, heavy_settings=HEAVY_SETTINGS.get(name))
            )
            build_benchmark.create(connection, settings, layout)
            build_benchmark.fill(connection, 0, sessions, days, today)
            build_benchmark.repeat_and_merge_some(connection)
            size = connection.query("benchmarks/size_of_events")[0]["megabytes"]
            measured[name]["megabytes_on_disk"] = [size]
            print(f"{name}: {size:.0f} MB of events", flush=True)
        pageviews: set[int] = set()
        for turn in range(rounds + 1):
            for name, connection in connections.items():

                def build(connection=connection) -> None:
                    pageviews.add(build_partition(connection, settings, day, teams)["pageviews"])

                found = build_benchmark.cost_of(connection, server.pid, build)
                if turn:  # the first is a warm-up
                    for key, value in found.items():
                        measured[name].setdefault(key, []).append(value)
        if len(pageviews) > 1:
            raise RuntimeError(f"The layouts have built different pageviews: {sorted(pageviews)}.")
    results = {
        f"layout_{name}_{key}": statistics.median(values)
        for name, each in measured.items()
        for key, values in each.items()
    }
    base = results["layout_as_posthog_cpu_s"]
    return results | {
        f"layout_{name}_cpu_vs_posthog": results[f"layout_{name}_cpu_s"] / base for name in LAYOUTS
    }
