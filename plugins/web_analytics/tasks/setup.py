"""The steps of ``web_analytics_setup``, one function per task. The DAG file wires them."""

from __future__ import annotations

import logging
from collections.abc import Generator

from web_analytics import pools, schema, validation
from web_analytics.clickhouse.connection import ClickHouse, Database
from web_analytics.settings import Settings
from web_analytics.tasks.runtime import current_task, is_told_apart, open_clickhouse

log = logging.getLogger(__name__)


# A load balancer that gives so many connections to one node does so for the length of a build too.
CONNECTIONS_TRIED = 5


def _each_node(settings: Settings) -> Generator[ClickHouse]:
    """A connection to everything that statements have to be sent to: one node sends them on, unless each is named."""
    one_by_one = () if settings.placement.topology.load_balanced else settings.node_conn_ids
    for conn_id in one_by_one or (settings.setup_conn_id,):
        with open_clickhouse(settings, current_task(), conn_id) as clickhouse:
            yield clickhouse


def _node(settings: Settings) -> tuple[str, Database]:
    with open_clickhouse(settings, current_task(), settings.setup_conn_id) as clickhouse:
        return clickhouse.query("schema/read_node")[0]["node"], clickhouse.database


def create_tables() -> None:
    """:raises SchemaMismatch: the connection leads to several nodes, a table is of another form, or a node lacks it."""
    settings = Settings.load()
    if not is_told_apart(settings):
        log.warning(
            "This Airflow has neither a Fernet key nor [api] base_url. If another one works on this database, give each of "
            "them a WEB_ANALYTICS_DEPLOYMENT of its own: otherwise each takes the other's locks for its own."
        )
    answered = [_node(settings) for _ in range(CONNECTIONS_TRIED)]
    load_balanced = settings.placement.topology.load_balanced
    if load_balanced:
        schema.check_shared_catalog(answered)
    else:
        schema.check_one_node(node for node, _ in answered)
    for clickhouse in _each_node(settings):
        schema.check_catalog(clickhouse)
        schema.create_tables(clickhouse)
        validation.check_schema(clickhouse)  # tables that were there before stay as they are
    if settings.node_conn_ids and not load_balanced:
        with open_clickhouse(settings, current_task(), settings.setup_conn_id) as clickhouse:
            schema.check_all_nodes(clickhouse)


def create_teams_dictionary() -> int:
    """:returns: the number of enabled teams that it holds."""
    from airflow.sdk import BaseHook

    settings = Settings.load()
    connection = BaseHook.get_connection(settings.reader_conn_id or settings.clickhouse_conn_id)
    teams = 0
    for clickhouse in _each_node(settings):
        schema.create_teams_dictionary(clickhouse, connection.login or "", connection.password or "")
        teams = schema.reload_teams_dictionary(clickhouse)
    return teams


def create_source_view() -> None:
    settings = Settings.load()
    for clickhouse in _each_node(settings):
        schema.create_source_view(clickhouse, settings)


def create_freshness_view() -> None:
    settings = Settings.load()
    for clickhouse in _each_node(settings):
        schema.create_freshness_view(clickhouse, settings)


def create_pool() -> None:
    if not pools.ensure_pool():
        log.info("The pool %s was created by the scheduler when it started with this plugin.", pools.POOL)
