"""A server refuses to drop a table over a size, 50 GB by default: that is for tables which people have made."""

from __future__ import annotations

import pytest
from clickhouse_driver.errors import ServerException

from embedded_clickhouse.__main__ import DEFAULT_CONFIG
from embedded_clickhouse.process import EmbeddedClickHouse
from tests.support import Source, differences_from_oracle, leftovers, set_up
from web_analytics.build import steps
from web_analytics.clickhouse.connection import ClickHouse

BYTES = 100


@pytest.fixture
def careful_server(tmp_path):
    config = tmp_path / "config.xml"
    bounds = f"<max_table_size_to_drop>{BYTES}</max_table_size_to_drop><max_partition_size_to_drop>{BYTES}</max_partition_size_to_drop>"
    head, end, rest = DEFAULT_CONFIG.read_text().rpartition("</clickhouse>")
    config.write_text(f"{head}{bounds}{end}{rest}")
    with EmbeddedClickHouse(tmp_path / "data", config_file=config) as server:
        yield server


def test_what_a_build_has_made_is_dropped_whatever_its_size(careful_server, settings, days, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", careful_server.uri())
    with ClickHouse("clickhouse_default") as clickhouse:
        set_up(clickhouse, settings)
        source, [day] = Source(clickhouse), days(1)
        source.enable(1)
        source.visits([1], [day])
        with pytest.raises(ServerException, match="359|max_table_size_to_drop"):
            clickhouse.client.execute("DROP TABLE events SYNC")
        for _ in range(2):
            steps.build_partition(clickhouse, settings, day, [1])
        assert differences_from_oracle(clickhouse, [day], [1]) == []
        assert leftovers(clickhouse) == []
