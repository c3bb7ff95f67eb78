"""What of a login's settings profile holds for the package's statements: bounds of resources, and nothing else.

A profile may change types, names, plans, limits or what is done where there is nothing. So each of its settings that is
not the engine's default is sent back to it with every statement, whichever settings a version of ClickHouse has. A profile
that forbids this is refused by ClickHouse with a sentence that names the setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from web_analytics.clickhouse import sql

if TYPE_CHECKING:
    from clickhouse_driver import Client

# Bounds of memory, time and load, rights, what is logged, how nodes find each other: with others a statement is slower or
# ends with an error that says why, but its answer is the same.
KEPT = re.compile(
    r"(?:max|min)_os_cpu_\w+|max_sessions_for_user|max_(?:threads|insert_threads|final_threads|concurrent_queries_for_\w+|execution_time|estimated_execution_time)"
    r"|max_(?:memory_usage|bytes_before_external|bytes_ratio_before_external|temporary_data_on_disk|network)\w*"
    r"|memory_\w+|use_concurrency_control|priority|os_thread\w*|workload|queue_max_wait_ms"
    r"|log_\w+|send_logs_\w+|opentelemetry_\w+|query_profiler_\w+"
    r"|\w+_timeout(?:_\w+)?|tcp_keep_alive_\w+|poll_interval|interactive_delay|network_\w+"
    r"|load_balancing|distributed_(?:background|cache|connections|ddl|directory|foreground|insert|replica)_\w+"
    r"|distributed_aggregation_memory_efficient|distributed_product_mode|prefer_global_in_and_join"
    r"|insert_quorum\w*|select_sequential_consistency|cloud_mode\w*|readonly|allow_ddl"
    r"|insert_keeper_\w+|replication_\w+"
    # where names are looked for, which is the connection's affair, and how types are printed
    r"|database|print_pretty_type_names"
    # what it changed is in the list itself
    r"|compatibility"
)

# With other values of these the profile can keep itself from being read: these are the engine's defaults.
TO_READ_IT = {
    "automatic_parallel_replicas_mode": 0,
    "dialect": "clickhouse",
    "enable_parallel_replicas": 0,
    "implicit_transaction": 0,
    "make_distributed_plan": 0,
    "max_ast_depth": 1000,
    "max_ast_elements": 50_000,
    "max_columns_to_read": 0,
    "max_expanded_ast_elements": 500_000,
    "max_parser_backtracks": 1_000_000,
    "max_parser_depth": 1000,
    "max_query_size": 262_144,
    "max_rows_to_read": 0,
    "max_temporary_columns": 0,
    "max_temporary_non_const_columns": 0,
    "page": 0,
    "query_plan_max_optimizations_to_apply": 10_000,
}


# Of what is sent with every statement: values that are no version's defaults, so that these are on the list of what is
# changed. A server does not list what was sent and is its default.
NEVER_DEFAULTS = frozenset({"session_timezone", "union_default_mode", "mutations_sync"})


def settings_to_reset(client: Client, sent: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the login that are not the engine's default and are not kept, with that default.

    :param sent: what is sent with every statement anyway.
    """
    from clickhouse_driver.errors import ServerException

    statement = sql.render("clickhouse/list_changed_settings")
    try:
        changed = dict(client.execute(statement, settings=sent))
    except ServerException:
        changed = {}
    # Unless the profile keeps itself from being read.
    if not changed.keys() >= NEVER_DEFAULTS:
        # What was sent to read the list need not be on it.
        changed = TO_READ_IT | dict(client.execute(statement, settings={**TO_READ_IT, **sent}))
    return {
        name: default for name, default in changed.items() if not KEPT.fullmatch(name) and name not in sent
    }
