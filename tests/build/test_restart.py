"""What was replaced does not come back when ClickHouse restarts. Older engines: tests/engines."""

from __future__ import annotations

import pytest

from embedded_clickhouse.process import EmbeddedClickHouse
from tests.support import Source, differences_from_oracle, set_up
from web_analytics.build import steps
from web_analytics.clickhouse.connection import ClickHouse


@pytest.fixture
def own_server(tmp_path):
    with EmbeddedClickHouse(tmp_path / "data") as server:
        yield server


@pytest.fixture
def restarted(own_server, monkeypatch):
    """Restarts the server, and gives a connection to what it loaded."""
    opened = []

    def restart(how: str) -> ClickHouse:
        for connection in opened:
            connection.close()
        if how:
            getattr(own_server, how)()
            own_server.start()
        monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", own_server.uri("default"))
        opened.append(ClickHouse("clickhouse_default").__enter__())
        return opened[-1]

    return restart


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_day_that_was_built_again_stays_as_it_is(own_server, restarted, settings, days, how):
    [day] = days(1)
    clickhouse = restarted("")
    set_up(clickhouse, settings)
    source = Source(clickhouse)
    source.enable(1, 2)
    for team_id in (1, 2):
        source.visits([team_id], [day])
        steps.build_partition(clickhouse, settings, day, [1, 2])
    assert differences_from_oracle(clickhouse, [day], [1, 2]) == []
    assert differences_from_oracle(restarted(how), [day], [1, 2]) == []
