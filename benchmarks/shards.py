"""What a day costs to build when its events grow, on one node and on two shards: ClickHouse's own listeners.

Three layouts of the same events. ``node``: all on one node. ``shards``: whole sessions on two shards, each of which builds
its own, as regions do. ``distributed``: the same shards read by one node, which builds and holds everything.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

from benchmarks import build as build_benchmark

DAYS = 3
TIMES = (1, 4, 16)
# What the machine does besides must not hold a build up.
AT_ONCE = {"os_thread_priority": 0}


def measure(settings, today: date, *, sessions_a_day: int, rounds: int) -> dict[str, float]:
    """Medians of rounds; CPU seconds and the peak of memory are what the queries' ProfileEvents say.

    :param sessions_a_day: those of the smallest size; a session has about six events.
    """
    from tests.servers.cluster import two_shards

    results: dict[str, float] = {}
    layouts = {"node": [0], "shards": [0, 1], "distributed": [0]}
    with tempfile.TemporaryDirectory() as folder, two_shards(Path(folder)) as nodes:
        filled = 0
        for times in TIMES:
            sessions = sessions_a_day * DAYS * times
            halfway = (filled + sessions) // 2
            parts = {
                "node": [(0, filled, sessions)],
                "shards": [(0, filled, halfway), (1, halfway, sessions)],
            }
            for layout, fills in parts.items():
                for place, first, last in fills:
                    _fill(settings, nodes[place], layout, first, last, today)
            if not filled:
                _distribute(settings, nodes[0])
            filled = sessions
            for layout, places in layouts.items():
                found = _build(settings, nodes, layout, places, today - timedelta(days=2), rounds)
                # At once: the next size takes four times as long.
                print(
                    f"{layout} {times}x:",
                    {name: round(value, 2) for name, value in found.items()},
                    flush=True,
                )
                results |= {f"{layout}_{times}x_{name}": value for name, value in found.items()}
            if len({results[f"{layout}_{times}x_pageviews"] for layout in layouts}) > 1:
                raise RuntimeError("The layouts have not built the same pageviews.")
        for layout in layouts:
            for times in TIMES[1:]:
                results[f"{layout}_cpu_growth_{times}x"] = (
                    results[f"{layout}_{times}x_cpu_s"] / results[f"{layout}_1x_cpu_s"]
                )
    return results


def _connect(node, database: str, origin: str = ""):
    from web_analytics.clickhouse.connection import ClickHouse

    # A build may be beside one on the other shard: each has a connection of its own.
    name = f"{database}_{node.port}"
    # Merging parts says nothing for minutes.
    told = {"host": node.host, "port": node.port, "schema": database, "extra": {"send_receive_timeout": 3600}}
    os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps({"conn_type": "clickhouse", **told})
    return ClickHouse(name, origin=origin, heavy_settings=AT_ONCE)


def _fill(settings, node, database: str, first: int, last: int, today: date) -> None:
    with _connect(node, "default") as connection:
        connection.client.execute(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic")
    with _connect(node, database) as connection:
        build_benchmark.create(connection, settings)
        build_benchmark.fill(connection, first, last, DAYS, today)
        build_benchmark.repeat_and_merge_some(connection)


def _distribute(settings, node) -> None:
    """The database ``distributed`` of one node: ``events`` are those of both shards."""
    from tests.servers.cluster import CLUSTER
    from web_analytics import schema

    with _connect(node, "default") as connection:
        connection.client.execute("CREATE DATABASE distributed ENGINE = Atomic")
        connection.client.execute(
            f"CREATE TABLE distributed.events AS shards.events ENGINE = Distributed('{CLUSTER}', shards, events)"
        )
    with _connect(node, "distributed") as connection:
        connection.run("demo/create_person_overrides")
        connection.client.execute(
            "INSERT INTO person_distinct_id_overrides SELECT * FROM shards.person_distinct_id_overrides"
        )
        schema.create_tables(connection)
        schema.create_source_view(connection, settings)


def _build(settings, nodes, layout: str, places: Sequence[int], day: date, rounds: int) -> dict[str, float]:
    from web_analytics.build.steps import build_partition

    teams = build_benchmark.enabled_teams()

    def build(place: int, origin: str) -> dict:
        with _connect(nodes[place], layout, origin) as connection:
            return build_partition(connection, settings, day, teams)

    measured: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        origin, started = f"shards-{uuid.uuid4().hex[:12]}", time.monotonic()
        with ThreadPoolExecutor(len(places)) as threads:
            built = list(threads.map(build, places, [origin] * len(places)))
        wall = time.monotonic() - started
        if not turn:  # a warm-up
            continue
        costs = [_cost(node, origin) for node in nodes]
        found = {
            "cpu_s": sum(each["cpu_s"] for each in costs),
            "cpu_s_of_the_busiest_node": max(each["cpu_s"] for each in costs),
            "wall_s": wall,
            "peak_mb": max(each["peak_mb"] for each in costs),
            "million_rows_read": sum(each["rows_read"] for each in costs) / 1e6,
            "pageviews": sum(each["pageviews"] for each in built),
        }
        for name, value in found.items():
            measured.setdefault(name, []).append(value)
    return {name: statistics.median(values) for name, values in measured.items()}


def _cost(node, origin: str) -> dict[str, float]:
    with _connect(node, "default") as connection:
        connection.run("benchmarks/flush_logs")
        return connection.query("benchmarks/cost_of_queries", {"origin": origin})[0]
