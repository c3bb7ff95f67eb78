"""What the tables are on a cluster. Rendered, parsed and inspected; no cluster was at hand to run it on."""

from __future__ import annotations

import re

import pytest

from tests.support import differences_from_oracle
from web_analytics import schema
from web_analytics.build import steps
from web_analytics.clickhouse import sql
from web_analytics.errors import SchemaMismatch
from web_analytics.settings import TOPOLOGIES

CREATED = sorted(file.stem for file in (sql.SQL_ROOT / "schema").glob("create_*.sql"))
CLUSTERS = [topology for topology in TOPOLOGIES if topology != "single"]
NAMES = {
    "table": "web_pre_aggregated_stats",
    "dictionary": "web_pre_aggregated_teams_dict",
    "database": "analytics",
    "with_credentials": False,
    "further_tables": [],
}


def rendered(statement: str, topology: str) -> str:
    return sql.render(f"schema/{statement}", {**NAMES, "topology": topology})


@pytest.mark.parametrize("topology", CLUSTERS)
@pytest.mark.parametrize("statement", CREATED)
def test_on_a_cluster_everything_is_created_on_all_nodes_and_replicated(statement, topology):
    text = rendered(statement, topology)
    assert text.count("ON CLUSTER '{cluster}'") == 1
    for engine in re.findall(r"^ENGINE = (\w+)", text, re.M):
        assert engine.startswith("Replicated") or engine == "Distributed"
    # Without a path of its own a table has the server's default one, with its UUID: no two tables share it.
    assert "/clickhouse/" not in text


@pytest.mark.parametrize("statement", CREATED)
def test_on_one_node_nothing_of_a_cluster_is_there(statement):
    if statement != "create_distributed":
        assert not re.search("CLUSTER|Replicated|Distributed", rendered(statement, "single"))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_migrations_and_the_view_reach_all_nodes(topology):
    files = [*(sql.SQL_ROOT / "migrations").glob("*.sql"), sql.SQL_ROOT / "source" / "posthog.sql"]
    for file in files:
        path = file.relative_to(sql.SQL_ROOT).with_suffix("").as_posix()
        text = sql.render(path, {"materialized_columns": [], "is_distributed": False, "topology": topology})
        assert text.count("ON CLUSTER") == (topology != "single"), path


def add_dimension(clickhouse) -> None:
    """As a migration adds one: the primary key stays what it was."""
    for table in steps.BUILT_TABLES:
        keys = clickhouse.query("schema/table_keys", {"table_name": table.name})[0]
        clickhouse.client.execute(
            f"ALTER TABLE {table.name} ADD COLUMN language String AFTER team_id, "
            f"MODIFY ORDER BY ({keys['sorting_key']}, language)"
        )


@pytest.mark.parametrize("migrated", [False, True])
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_a_build_works_on_tables_of_one_node(web_analytics_schema, topology, migrated, days):
    """Per-run tables are plain ones whatever the target is, with the target's columns and keys."""
    clickhouse = web_analytics_schema
    if migrated:
        add_dimension(clickhouse)
    clickhouse.topology = topology
    shape = "SELECT engine, partition_key, primary_key, sorting_key FROM system.tables WHERE database = currentDatabase() AND name = %(t)s"
    columns = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(t)s ORDER BY position"
    for table in steps.BUILT_TABLES:
        steps.create_like_target(clickhouse, f"made_{table.short_name}", table)
        for question in (shape, columns):
            expected = clickhouse.client.execute(question, {"t": table.name})
            assert clickhouse.client.execute(question, {"t": f"made_{table.short_name}"}) == expected


@pytest.mark.parametrize("migrated", [False, True])
def test_a_day_is_built_exactly_with_such_tables(source, settings, days, migrated):
    if migrated:
        add_dimension(source.clickhouse)
    source.enable(1, 2)
    source.visits([1, 2], days(2))
    source.clickhouse.topology = "replicated"
    for _ in range(2):
        steps.build_partition(source.clickhouse, settings, days(1)[0], [1, 2])
        steps.build_partition(source.clickhouse, settings, days(1)[0], [2])
    assert differences_from_oracle(source.clickhouse, days(1), [1, 2]) == []


def test_a_connection_through_a_load_balancer_is_refused():
    schema.check_one_node(["node-1", "node-1"])
    with pytest.raises(SchemaMismatch, match=r"several nodes \(node-1, node-2\)"):
        schema.check_one_node(["node-2", "node-1", "node-2"])
