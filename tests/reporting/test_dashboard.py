"""The Grafana dashboard asks only for what the tables hold: each of its queries runs and finds something."""

from __future__ import annotations

import json
import re

import pytest

from tests.conftest import CHECKOUT
from tests.support import at
from web_analytics.build import steps
from web_analytics.clickhouse import history
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.detection import activity
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.tables import TABLES

DASHBOARD = json.loads((CHECKOUT / "docs" / "grafana" / "web_analytics.json").read_text())
PANELS = DASHBOARD["panels"]


def as_grafana_sends_it(query: str) -> str:
    """With the macros of Grafana's ClickHouse data source filled in, for the last seven days."""
    filled = re.sub(
        r"\$__timeFilter\((\w+)\)",
        r"\1 >= toDateTime(now() - INTERVAL 7 DAY) AND \1 <= toDateTime(now() + INTERVAL 1 HOUR)",
        query,
    )
    assert "$" not in filled, "a macro that this test does not know"
    return filled


@pytest.fixture
def used(source, settings, run_dag, days):
    """A day was built, something failed, a decision was made and the health was checked."""
    source.enable(1)
    source.visits([1], days(1), per_day=1)
    steps.build_partition(source.clickhouse, settings, days(1)[0], [1])
    # An earlier day was on time.
    earlier = days(3)[2]
    source.visits([1], [earlier], per_day=1)
    activity.refresh(source.clickhouse, settings, DateRange(earlier, earlier + ONE_DAY))
    source.clickhouse.client.execute(
        "INSERT INTO web_analytics_backfill_ledger (team_id, partition_date, table_name, built_at) VALUES",
        [(1, day, table.name, at(day, 26)) for table in TABLES for day in (earlier - ONE_DAY, earlier)],
    )
    task = TaskIdentity("web_analytics_backfill", "some run", "decide")
    history.append(source.clickhouse, task, kind="decision", status="skip", reason="why not")
    history.append(
        source.clickhouse, task, kind="attempt", status="failed", reason="memory", error_code=241, seconds=1
    )
    # So that the query log has a statement of a backfill.
    with ClickHouse("clickhouse_default", origin="web_analytics_backfill:some run") as connection:
        connection.query("teams/list_enabled")
        connection.client.execute("SYSTEM FLUSH LOGS")
    assert run_dag("web_analytics_health").state == "success"
    return source.clickhouse.client


def test_every_query_finds_something(used):
    for panel in PANELS:
        [target] = panel["targets"]
        rows, columns = used.execute(as_grafana_sends_it(target["rawSql"]), with_column_types=True)
        assert rows, panel["title"]
        if target["queryType"] == "timeseries":
            name, kind = columns[0]
            assert name == "time", panel["title"]
            assert kind.startswith("DateTime"), panel["title"]
            assert all(value is not None for row in rows for value in row), panel["title"]


def test_it_names_no_data_source_of_ours():
    sources = {panel["datasource"]["uid"] for panel in PANELS}
    assert sources == {"${datasource}"}
    assert [variable["type"] for variable in DASHBOARD["templating"]["list"]] == ["datasource"]


def test_panels_do_not_overlap():
    taken = set()
    for panel in PANELS:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
