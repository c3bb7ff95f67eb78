"""An empty ClickHouse for a measurement."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from embedded_clickhouse.process import EmbeddedClickHouse
from web_analytics.clickhouse.connection import ClickHouse


@contextlib.contextmanager
def fresh_server() -> Generator[tuple[Path, EmbeddedClickHouse, ClickHouse]]:
    """A folder, an empty server and a connection to it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedClickHouse(Path(folder) / "clickhouse") as server,
    ):
        os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = server.connection_uri
        with ClickHouse("clickhouse_default") as clickhouse:
            yield Path(folder), server, clickhouse
