"""Creates and upgrades everything the package needs in ClickHouse; running it again changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from web_analytics.clickhouse import sql
from web_analytics.clickhouse.connection import ClickHouse, Database
from web_analytics.clickhouse.placement import SHARED_CATALOGS
from web_analytics.errors import SchemaMismatch
from web_analytics.settings import Settings
from web_analytics.tables import BUILT_TABLES, MORE_TABLES

log = logging.getLogger(__name__)

# Between a reload and its check somebody else may change a team.
RELOADS = 10
TEAMS_DICTIONARY = "web_pre_aggregated_teams_dict"
FRESHNESS = "web_pre_aggregated_freshness"

# Beside the targets: the statement that creates it, and its name.
OTHER_TABLES = {
    "teams": "web_pre_aggregated_teams",
    "team_backfills": "web_analytics_team_backfills",
    "backfill_ledger": "web_analytics_backfill_ledger",
    "backfill_log": "web_analytics_backfill_log",
    "backfill_plan": "web_analytics_backfill_plan",
    "activity": "web_analytics_activity",
    "activity_scans": "web_analytics_activity_scans",
    "kept_months": "web_analytics_kept_months",
    "kept_states": "web_analytics_kept_states",
}

# The columns a source view has to give, with the types that are accepted. Keep in step with docs/sources.md.
SOURCE_COLUMNS = {
    "team_id": ("Int64", "UInt64", "Int32", "UInt32"),
    "uuid": ("UUID",),
    "event": ("String", "LowCardinality(String)"),
    "timestamp": ("DateTime64(6, 'UTC')", "DateTime64(3, 'UTC')", "DateTime('UTC')"),
    "ingested_at": ("DateTime64(6, 'UTC')", "DateTime64(3, 'UTC')", "DateTime('UTC')"),
    "version": ("UInt64",),
    "tie_key": ("UInt64",),
    "tie_position": ("UInt64",),
    "session_id": ("String",),
    "session_started_at": ("DateTime64(3, 'UTC')", "DateTime64(6, 'UTC')"),
    "distinct_id": ("String",),
    "person_id": ("UUID",),
    "pathname": ("String",),
    "host": ("String",),
    "device_type": ("String",),
    "browser": ("String",),
    "os": ("String",),
    "viewport_width": ("Int64",),
    "viewport_height": ("Int64",),
    "referring_domain": ("String",),
    "utm_source": ("String",),
    "utm_medium": ("String",),
    "utm_campaign": ("String",),
    "utm_term": ("String",),
    "utm_content": ("String",),
    "country_code": ("String",),
    "city_name": ("String",),
    "region_code": ("String",),
    "region_name": ("String",),
    "has_gclid": ("Bool", "UInt8"),
    "has_gad_source_paid_search": ("Bool", "UInt8"),
    "has_fbclid": ("Bool", "UInt8"),
}


def create_tables(clickhouse: ClickHouse) -> None:
    """Targets, registry of teams, ledger, log, plans, activity and the states that are kept."""
    # On a cluster another node may have tables of an earlier version.
    all_new = (
        clickhouse.placement.has_one_node and not clickhouse.query("schema/count_own_tables")[0]["tables"]
    )
    for table in BUILT_TABLES:
        clickhouse.run(f"schema/create_{table.short_name}", names={"table": table.name})
        if clickhouse.placement.topology.sharded:
            clickhouse.run("schema/create_distributed", names={"table": table.name})
        if clickhouse.brings_back_replaced_parts:
            clickhouse.run("schema/shorten_old_parts_lifetime", names={"table": table.name})
    for statement in OTHER_TABLES:
        clickhouse.run(f"schema/create_{statement}")
    check_registry(clickhouse)
    migrate(clickhouse, all_new)


def check_registry(clickhouse: ClickHouse) -> None:
    """:raises SchemaMismatch: the table of the registry's name is PostHog's list of teams."""
    columns = clickhouse.query("schema/table_columns", {"table_name": "web_pre_aggregated_teams"})
    if "enabled" not in {row["name"] for row in columns}:
        raise SchemaMismatch(
            "web_pre_aggregated_teams has no column enabled, so it is PostHog's own list of teams; "
            "rename it and drop web_pre_aggregated_teams_dict as docs/upgrading.md says."
        )


def check_one_node(nodes: Iterable[str]) -> None:
    """The tables of a build and its lock live on the node that the connection leads to.

    :param nodes: which node answered, on several connections.
    :raises SchemaMismatch: they are not the same.
    """
    found = sorted(set(nodes))
    if len(found) > 1:
        raise SchemaMismatch(
            f"The connection leads to several nodes ({', '.join(found)}); name one of them as its host, "
            "not a load balancer (docs/scaling.md)."
        )


def check_shared_catalog(found: Iterable[tuple[str, Database]]) -> None:
    """Behind a load balancer locks and the tables of a build have to be on every node.

    :param found: which node answered, on several connections, and its database.
    :raises SchemaMismatch: a node has a catalog of its own.
    """
    databases = dict(sorted(found))
    for node, database in databases.items():
        if database.engine not in SHARED_CATALOGS:
            raise SchemaMismatch(
                "Where WEB_ANALYTICS_TOPOLOGY is load_balanced, every node has to see locks and the tables of a build; "
                f"on {node} the database {database.name} is of the engine {database.engine}, not Replicated or Shared "
                "(docs/scaling.md)."
            )
    if len(set(databases.values())) > 1:
        catalogs = "; ".join(f"{node} has {each.engine} {each.place}" for node, each in databases.items())
        raise SchemaMismatch(f"The nodes behind the connection have different catalogs: {catalogs}.")


def check_catalog(clickhouse: ClickHouse) -> None:
    """Whether the database suits the topology.

    :raises SchemaMismatch: it has several nodes and the topology one, or it has several shards.
    """
    engine = clickhouse.database.engine
    if engine in SHARED_CATALOGS and clickhouse.placement.has_one_node:
        raise SchemaMismatch(
            f"The connection's database is of the engine {engine}, so its tables are on several nodes; set "
            "WEB_ANALYTICS_TOPOLOGY to load_balanced, or to replicated if the connection leads to one of them "
            "(docs/scaling.md)."
        )
    if engine == "Replicated" and (shards := clickhouse.query("schema/count_shards")[0]["shards"]) > 1:
        raise SchemaMismatch(
            f"The connection's database is one Replicated database over {shards} shards, each of which would publish "
            "what another has built; make a Replicated database for each shard (docs/scaling.md)."
        )


def check_all_nodes(clickhouse: ClickHouse) -> None:
    """Whether tables that are made node by node are on every node of the cluster.

    :raises SchemaMismatch: one of them lacks some.
    """
    sharded = clickhouse.placement.topology.sharded
    expected = {
        "web_analytics_schema_migrations",
        *OTHER_TABLES.values(),
        *(
            f"{prefix}{table.name}"
            for table in BUILT_TABLES
            for prefix in ("", "distributed_")[: 1 + sharded]
        ),
    }
    missing = {
        row["node"]: sorted(expected - set(row["tables"]))
        for row in clickhouse.query("schema/list_tables_of_nodes")
        if not expected <= set(row["tables"])
    }
    if missing:
        cluster = clickhouse.placement.cluster
        lacks = "; ".join(f"{node} lacks {', '.join(tables)}" for node, tables in missing.items())
        raise SchemaMismatch(
            f"Of the cluster {cluster} {lacks}. Name a connection to each node in WEB_ANALYTICS_NODE_CONN_IDS and run "
            "web_analytics_setup again (docs/scaling.md)."
        )


def migrate(clickhouse: ClickHouse, all_new: bool = False) -> list[str]:
    """Brings tables of an earlier version of the package, or of PostHog, to what this version expects: runs each
    file of include/sql/migrations that was not run yet, in the order of their names. Each of them may be run
    again, so that a migration that was broken off before it was recorded does no harm.

    :param all_new: no table was there before: each was created as this version has it.
    :returns: the migrations that were run.
    :raises SchemaMismatch: the tables were migrated by a newer version of the package.
    """
    clickhouse.run("schema/create_schema_migrations")
    known = sql.statements_in("migrations")
    applied = {row["migration"] for row in clickhouse.query("schema/list_migrations")}
    if unknown := sorted(applied - set(known)):
        raise SchemaMismatch(
            f"The tables were migrated by a newer version of the package ({unknown[-1]}); install that one again."
        )
    pending = [migration for migration in known if migration not in applied]
    if all_new:
        clickhouse.run("schema/record_migrations", {"migrations": pending})
        return []
    for migration in pending:
        clickhouse.run(f"migrations/{migration}")
        clickhouse.run("schema/record_migrations", {"migrations": [migration]})
        log.info("Migrated the tables: %s.", migration)
    return pending


def create_teams_dictionary(clickhouse: ClickHouse, user: str = "", password: str = "") -> None:
    """The dictionary of enabled teams. One that is there is exchanged, since it signs in with a password of its own.
    Queries find the old one or the new one; one that had found the old one, and asks only after it was dropped, fails
    with 36 (seen once in 25,000 queries beside 3,000 exchanges).

    :param user: the connection's login, where it is not ClickHouse's passwordless ``default``.
    """
    database = clickhouse.query("schema/current_database")[0]["database"]
    with_credentials = bool(password) or user not in ("", "default")

    def create(dictionary: str) -> None:
        clickhouse.run(
            "schema/create_teams_dictionary",
            {"user": user, "password": password} if with_credentials else {},
            {"dictionary": dictionary, "database": database, "with_credentials": with_credentials},
        )

    if not clickhouse.query("schema/table_columns", {"table_name": TEAMS_DICTIONARY}):
        create(TEAMS_DICTIONARY)
        return
    following = f"{TEAMS_DICTIONARY}_next"
    clickhouse.run("schema/drop_teams_dictionary", names={"dictionary": following})
    create(following)
    # A query must not meet one that is not loaded yet, nor lose the old one to one that cannot be loaded.
    clickhouse.run("schema/reload_teams_dictionary", names={"dictionary": following})
    clickhouse.run("schema/exchange_teams_dictionary", names={"dictionary": following})
    clickhouse.run("schema/drop_teams_dictionary", names={"dictionary": following})


def reload_teams_dictionary(clickhouse: ClickHouse) -> int:
    """Makes a change of teams visible at once.

    :returns: the number of enabled teams.
    :raises SchemaMismatch: the dictionary does not hold the teams of its table.
    """
    for _ in range(RELOADS):
        clickhouse.run("schema/reload_teams_dictionary", names={"dictionary": TEAMS_DICTIONARY})
        counts = clickhouse.query("schema/count_dictionary_teams")[0]
        if not counts["different"]:
            return counts["in_table"]
    raise SchemaMismatch(
        f"{TEAMS_DICTIONARY} holds {counts['in_dictionary']} teams, web_pre_aggregated_teams "
        f"{counts['in_table']} enabled ones, and {counts['different']} are not the same, although the dictionary was "
        "just reloaded."
    )


def create_source_view(clickhouse: ClickHouse, settings: Settings) -> None:
    """Defines web_analytics_source_events from include/sql/source and checks its columns.

    :raises SchemaMismatch: a column is missing or of another type.
    """
    columns = [row["name"] for row in clickhouse.query("source/list_materialized_columns")]
    # Of parts each node knows its own only, and when it has got them.
    is_distributed = clickhouse.placement.topology.load_balanced or bool(
        clickhouse.query("source/is_distributed")[0]["is_distributed"]
    )
    clickhouse.run(
        f"source/{settings.source}",
        names={"materialized_columns": columns, "is_distributed": is_distributed},
    )
    found = {row["name"]: row["type"] for row in clickhouse.query("source/describe")}
    for name, accepted in SOURCE_COLUMNS.items():
        if found.get(name) not in accepted:
            raise SchemaMismatch(
                f"include/sql/source/{settings.source}.sql gives web_analytics_source_events.{name} as "
                f"{found.get(name, 'no column at all')}; accepted: {' or '.join(accepted)}."
            )


def create_freshness_view(clickhouse: ClickHouse, settings: Settings) -> None:
    """Defines web_pre_aggregated_freshness, which dashboards ask, by the settings of now. With
    ``WEB_ANALYTICS_ACTIVITY=scanned`` there is none: it would have to read the events for each question."""
    if settings.activity != "kept":
        clickhouse.run("schema/drop_freshness")
        log.info("Nothing is kept of the source (WEB_ANALYTICS_ACTIVITY): there is no view %s.", FRESHNESS)
        return
    clickhouse.run(
        "schema/create_freshness",
        {
            "source": settings.source,
            "date_start": settings.partitions_start_date,
            "settling_minutes": settings.settling_minutes,
            "min_daily_pageviews": settings.min_daily_pageviews,
            "stale_min_events": settings.stale_min_events,
        },
        {"further_tables": [table.short_name for table in MORE_TABLES]},
    )
    if clickhouse.placement.topology.sharded:
        clickhouse.run("schema/create_distributed", names={"table": FRESHNESS})
