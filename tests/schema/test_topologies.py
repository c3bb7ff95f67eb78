"""What the tables are on a cluster. Rendered, parsed and inspected; tests/servers has what two nodes can show."""

from __future__ import annotations

import re

import pytest

from tests.support import differences_from_oracle
from web_analytics import schema
from web_analytics.build import steps
from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import Database
from web_analytics.clickhouse.placement import SHARED_CATALOGS, TOPOLOGIES, Placement
from web_analytics.errors import SchemaMismatch

CREATED = sorted(file.stem for file in (sql.SQL_ROOT / "schema").glob("create_*.sql"))
REPLICATED = [name for name, topology in TOPOLOGIES.items() if topology.replicated]
BY_NODE = ("first", "second")
NAMES = {
    "table": "web_pre_aggregated_stats",
    "dictionary": "web_pre_aggregated_teams_dict",
    "database": "analytics",
    "with_credentials": False,
    "further_tables": [],
}


def rendered(statement: str, placement: Placement, engine: str = "Atomic", **names) -> str:
    return sql.render(statement, {**placement.names(engine), **names})


def created(statement: str, *where) -> str:
    return rendered(f"schema/{statement}", *where, **NAMES)


def engines(text: str) -> list[str]:
    return re.findall(r"^ENGINE = (.+)", text, re.M)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("statement", CREATED)
def test_by_on_cluster_everything_is_created_on_all_nodes(statement, topology):
    if topology != "single":
        text = created(statement, Placement(topology, "some_cluster"))
        assert text.count("ON CLUSTER 'some_cluster'") == 1
        # Without a path of its own a table has the server's default one, with its UUID: no two tables share it.
        assert "/clickhouse/" not in text


@pytest.mark.parametrize("topology", REPLICATED)
@pytest.mark.parametrize("statement", CREATED)
def test_what_is_replicated_is_so_whichever_way_it_is_made(statement, topology):
    for where in ((Placement(topology),), (Placement(topology), "Replicated")):
        for engine in engines(created(statement, *where)):
            assert re.match(r"Replicated\w+MergeTree|ReplicatedMergeTree|Distributed", engine)
            assert "/clickhouse/" not in engine
    # Node by node the path is named: the server's default would be another on each node.
    for engine in engines(created(statement, Placement(topology, node_conn_ids=BY_NODE))):
        assert engine.startswith("Distributed") or re.fullmatch(
            r"Replicated\w*MergeTree\('/clickhouse/tables/\{shard\}/\{database\}/\{table\}', '\{replica\}'(, \w+)?\)",
            engine,
        )


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("statement", CREATED)
def test_a_catalog_of_all_nodes_and_statements_node_by_node_need_no_cluster(statement, topology):
    for engine in SHARED_CATALOGS:
        assert "ON CLUSTER" not in created(statement, Placement(topology), engine)
    assert "Replicated" not in created(statement, Placement(topology), "Shared")
    assert "ON CLUSTER" not in created(statement, Placement(topology, node_conn_ids=BY_NODE))


@pytest.mark.parametrize("statement", CREATED)
def test_on_one_node_nothing_of_a_cluster_is_there(statement):
    if statement != "create_distributed":
        text = created(statement, Placement())
        assert text == sql.render(f"schema/{statement}", NAMES)
        assert not re.search("CLUSTER|Replicated|Distributed|/clickhouse/", text)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_migrations_and_the_view_reach_all_nodes(topology):
    files = [*(sql.SQL_ROOT / "migrations").glob("*.sql"), sql.SQL_ROOT / "source" / "posthog.sql"]
    for file in files:
        path = file.relative_to(sql.SQL_ROOT).with_suffix("").as_posix()
        names = {"materialized_columns": [], "is_distributed": False}
        text = rendered(path, Placement(topology), **names)
        assert text.count("ON CLUSTER '{cluster}'") == (topology != "single"), path
        assert "ON CLUSTER" not in rendered(path, Placement(topology), "Replicated", **names)


class Pretended:
    """The package's connection, except that its database says that it is of another engine."""

    def __init__(self, clickhouse, monkeypatch):
        self._clickhouse, self._patch = clickhouse, monkeypatch

    def becomes(self, topology: str, engine: str) -> None:
        self._clickhouse.placement = Placement(topology)
        self._patch.setattr(self._clickhouse, "_database", Database("some", engine, ""))


@pytest.fixture
def database(web_analytics_schema, monkeypatch):
    return Pretended(web_analytics_schema, monkeypatch)


@pytest.mark.parametrize("engine", SHARED_CATALOGS)
def test_a_database_of_several_nodes_is_refused_as_one(web_analytics_schema, database, engine):
    schema.check_catalog(web_analytics_schema)
    database.becomes("single", engine)
    with pytest.raises(SchemaMismatch, match=f"of the engine {engine}, so its tables are on several nodes"):
        schema.check_catalog(web_analytics_schema)
    database.becomes("replicated", engine)
    schema.check_catalog(web_analytics_schema)


def add_dimension(clickhouse) -> None:
    """As a migration adds one: the primary key stays what it was."""
    for table in steps.BUILT_TABLES:
        keys = clickhouse.query("schema/table_keys", {"table_name": table.name})[0]
        clickhouse.client.execute(
            f"ALTER TABLE {table.name} ADD COLUMN language String AFTER team_id, "
            f"MODIFY ORDER BY ({keys['sorting_key']}, language)"
        )


@pytest.mark.parametrize("migrated", [False, True])
@pytest.mark.parametrize("topology", [name for name, each in TOPOLOGIES.items() if not each.load_balanced])
def test_a_build_works_on_tables_of_one_node(web_analytics_schema, topology, migrated, days):
    """Per-run tables are plain ones whatever the target is, with the target's columns and keys."""
    clickhouse = web_analytics_schema
    if migrated:
        add_dimension(clickhouse)
    clickhouse.placement = Placement(topology)
    shape = "SELECT engine, partition_key, primary_key, sorting_key FROM system.tables WHERE database = currentDatabase() AND name = %(t)s"
    columns = "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(t)s ORDER BY position"
    for table in steps.BUILT_TABLES:
        steps.create_like_target(clickhouse, f"made_{table.short_name}", table)
        for question in (shape, columns):
            expected = clickhouse.client.execute(question, {"t": table.name})
            assert clickhouse.client.execute(question, {"t": f"made_{table.short_name}"}) == expected


@pytest.mark.parametrize(
    ("migrated", "topology", "engine"),
    [(True, "replicated", "Atomic"), (False, "replicated", "Replicated")],
)
def test_a_day_is_built_exactly_with_such_tables(
    source, database, settings, days, migrated, topology, engine
):
    """In a catalog of several nodes tables are renamed one by one."""
    if migrated:
        add_dimension(source.clickhouse)
    source.enable(1, 2)
    source.visits([1, 2], days(2))
    database.becomes(topology, engine)
    for _ in range(2):
        steps.build_partition(source.clickhouse, settings, days(1)[0], [1, 2])
        steps.build_partition(source.clickhouse, settings, days(1)[0], [2])
    assert differences_from_oracle(source.clickhouse, days(1), [1, 2]) == []


def test_what_is_behind_a_load_balancer_is_seen_by_every_node():
    """Replicated or Shared, per-run tables and locks too."""
    per_run = sorted(f"build/{file.stem}" for file in (sql.SQL_ROOT / "build").glob("create_*.sql"))
    names = {
        name: "x"
        for name in (
            "lock_table",
            "build_teams",
            "events",
            "repeated",
            "visits",
            "sessions",
            "table",
            "target",
        )
    }
    names |= {"primary_key": ["team_id"], "sorting_key": ["team_id"]}
    assert len(per_run) == 7
    for statement in per_run:
        [engine] = engines(rendered(statement, Placement("load_balanced"), "Replicated", **names))
        assert engine.startswith("Replicated"), statement
        for engine in engines(rendered(statement, Placement("load_balanced"), "Shared", **names)):
            assert engine == "MergeTree", statement


def test_catalogs_that_differ_are_refused():
    def on(*databases: Database) -> list[tuple[str, Database]]:
        return [(f"node-{number}", each) for number, each in enumerate(databases)]

    one, other = (Database("analytics", "Replicated", f"/databases/{name}") for name in ("one", "other"))
    schema.check_shared_catalog(on(one, one))
    schema.check_shared_catalog(on(Database("analytics", "Shared", "")))
    with pytest.raises(
        SchemaMismatch, match="different catalogs: node-0 has Replicated /databases/one; node-1 has"
    ):
        schema.check_shared_catalog(on(one, other))
    with pytest.raises(SchemaMismatch, match="on node-1 the database analytics is of the engine Atomic"):
        schema.check_shared_catalog(on(one, Database("analytics", "Atomic", "")))


def test_a_connection_through_a_load_balancer_is_refused():
    schema.check_one_node(["node-1", "node-1"])
    with pytest.raises(SchemaMismatch, match=r"several nodes \(node-1, node-2\)"):
        schema.check_one_node(["node-2", "node-1", "node-2"])
