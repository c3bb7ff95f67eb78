"""Tables of each shard's own, made node by node: each shard is a region, and dashboards read Distributed tables."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from demo import sample_data
from tests.servers.cluster import CLUSTER, two_shards
from tests.support import Source, at, differences_from_oracle, found_gaps, open_client
from web_analytics import schema, validation
from web_analytics.api.coverage import content
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.clickhouse.placement import Placement
from web_analytics.detection import activity
from web_analytics.errors import SchemaMismatch
from web_analytics.rules.partitions import ONE_DAY, DateRange
from web_analytics.settings import Settings

pytestmark = pytest.mark.cluster

SHARDS = ("shard1", "shard2")
STATS, BOUNCES = "web_pre_aggregated_stats", "web_pre_aggregated_bounces"
TEAMS = {"shard1": [1, 2, 3], "shard2": [4, 5, 6]}


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    with two_shards(tmp_path_factory.mktemp("shards")) as servers:
        yield servers


@pytest.fixture
def shards(nodes, monkeypatch):
    """The package's connection to each shard, which has events of its own, by the region that it is."""
    database, found = f"shards_{uuid.uuid4().hex[:8]}", {}
    for server, shard in zip(nodes, SHARDS, strict=True):
        admin = open_client(server)
        admin.execute(f"CREATE DATABASE {database} ENGINE = Atomic")
        admin.disconnect()
        monkeypatch.setenv(f"AIRFLOW_CONN_{shard.upper()}", server.uri(database))
        monkeypatch.setenv(f"WEB_ANALYTICS_CLICKHOUSE_CONN_ID__{shard.upper()}", shard)
    for name, value in {
        "REGIONS": ",".join(SHARDS),
        "TOPOLOGY": "sharded_unreplicated",
        "CLUSTER": CLUSTER,
        "NODE_CONN_IDS": ",".join(SHARDS),
    }.items():
        monkeypatch.setenv(f"WEB_ANALYTICS_{name}", value)
    for shard in SHARDS:
        found[shard] = ClickHouse(shard)
        sample_data.create_source(found[shard])
    yield found
    for clickhouse in found.values():
        clickhouse.close()


def test_each_shard_is_a_region_and_dashboards_see_them_all(shards, run_dag, days):
    # On every node, from whichever region it is run.
    assert run_dag("web_analytics_setup__shard1").state == "success"
    for shard, clickhouse in shards.items():
        source = Source(clickhouse)
        source.enable(*TEAMS[shard])
        source.visits(TEAMS[shard], days(2))
    for shard, clickhouse in shards.items():
        assert (
            run_dag(f"web_analytics_backfill__{shard}", {"days_back": 4, "min_missing_partitions": 1}).state
            == "success"
        )
        settings = Settings.of_region(shard)
        assert differences_from_oracle(clickhouse, days(2), TEAMS[shard]) == []
        assert found_gaps(clickhouse, settings, days(2), TEAMS[shard]) == []
        for day in days(2):
            assert validation.check_day(clickhouse, settings, day, TEAMS[shard]).verdict == "exact"
        now = datetime.now(UTC)
        view = content.View(content.range_to_show(now, settings, 3), None, False, 1, 25)
        shown = content.read_page(clickhouse, settings, view, now)["teams"]
        assert [(int(team["team_id"]), team["gaps"]) for team in shown] == [
            (team, 0) for team in TEAMS[shard]
        ]
        # Again: nothing is made anew.
        assert run_dag(f"web_analytics_setup__{shard}").state == "success"
    everywhere = [(team, len(days(2)) * 6) for shard in SHARDS for team in TEAMS[shard]]
    for clickhouse in shards.values():
        for table in (STATS, BOUNCES):
            assert (
                clickhouse.client.execute(
                    f"SELECT team_id, sumMerge(pageviews_count_state) FROM distributed_{table} GROUP BY team_id ORDER BY team_id"
                )
                == everywhere
            )
    complete = {
        (team, day, table, "complete")
        for shard in SHARDS
        for team in TEAMS[shard]
        for day in days(2)
        for table in (STATS, BOUNCES)
    }
    for clickhouse in shards.values():
        assert freshness(clickhouse, days(2)) == complete
    # Late events of one shard's team are known to dashboards on both, once somebody has looked.
    late, day = TEAMS["shard2"][0], days(1)[0]
    Source(shards["shard2"]).event(late, at(day, 9), ingested=datetime.now(UTC))
    settings = Settings.of_region("shard2")
    activity.refresh(shards["shard2"], settings, DateRange(days(2)[-1], days(1)[0] + ONE_DAY))
    stale = {(late, day, table, "stale") for table in (STATS, BOUNCES)}
    for clickhouse in shards.values():
        assert freshness(clickhouse, days(2)) == stale | {
            each for each in complete if each[:2] != (late, day)
        }


def freshness(clickhouse, days) -> set[tuple]:
    return set(
        clickhouse.client.execute(
            "SELECT team_id, date, table, state FROM distributed_web_pre_aggregated_freshness WHERE date IN %(days)s",
            {"days": days},
        )
    )


def test_a_node_that_was_left_out_is_named(shards, nodes, monkeypatch, run_dag):
    monkeypatch.setenv("WEB_ANALYTICS_NODE_CONN_IDS", "shard1")
    assert run_dag("web_analytics_setup__shard1").state == "failed"
    with ClickHouse(
        "shard1", placement=Placement("sharded_unreplicated", CLUSTER, ("shard1",))
    ) as clickhouse:
        with pytest.raises(SchemaMismatch) as refused:
            schema.check_all_nodes(clickhouse)
        assert f":{nodes[1].port} lacks distributed_web_pre_aggregated_bounces, " in str(refused.value)
        assert f":{nodes[0].port} lacks" not in str(refused.value)
        # A single table is missed too.
        clickhouse.client.execute("DROP TABLE web_analytics_activity SYNC")
        with pytest.raises(SchemaMismatch, match=f":{nodes[0].port} lacks web_analytics_activity[.;]"):
            schema.check_all_nodes(clickhouse)
