"""What a build costs by the native protocol and over HTTP, on the same server: ClickHouse's own listener."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from benchmarks import build as build_benchmark

DATABASE = "transport"


def measure(settings, today: date, *, sessions: int, days: int, rounds: int) -> dict[str, float]:
    """Medians of rounds in which a day is built by both, one after the other; each build opens its connection."""
    from tests.servers.fetch import library
    from tests.servers.listener import Listener
    from web_analytics.build.steps import build_partition
    from web_analytics.clickhouse.connection import ClickHouse

    seconds: dict[str, list[float]] = {"native": [], "http": []}
    teams, day = build_benchmark.enabled_teams(), today - timedelta(days=2)
    with tempfile.TemporaryDirectory() as folder, Listener(Path(folder) / "clickhouse", library()) as server:
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.uri("default")
        with ClickHouse("clickhouse_default") as connection:
            connection.client.execute(f"CREATE DATABASE {DATABASE} ENGINE = Atomic")
        ports = {"native": server.port, "http": server.http_port}
        for protocol, port in ports.items():
            os.environ[f"AIRFLOW_CONN_BY_{protocol.upper()}"] = (
                f"clickhouse://default:@{server.host}:{port}/{DATABASE}?protocol={protocol}"
            )
        with ClickHouse("by_native") as connection:
            build_benchmark.create(connection, settings)
            build_benchmark.fill(connection, 0, sessions, days, today)
            build_benchmark.repeat_and_merge_some(connection)
        for turn in range(rounds + 1):
            order = list(ports) if turn % 2 else list(ports)[::-1]
            for protocol in order:
                started = time.monotonic()
                with ClickHouse(f"by_{protocol}") as connection:
                    build_partition(connection, settings, day, teams)
                if turn:  # the first is a warm-up
                    seconds[protocol].append(time.monotonic() - started)
    medians = {protocol: statistics.median(each) for protocol, each in seconds.items()}
    return {
        "build_native_s": medians["native"],
        "build_http_s": medians["http"],
        "build_http_vs_native": medians["http"] / medians["native"],
    }
