"""The hook of a ClickHouse connection's form (provider_info.py): its names, and the button *Test*."""

from __future__ import annotations

from airflow_clickhouse_plugin.hooks.clickhouse import ClickHouseHook, default_conn_name

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed

SECONDS_FOR_A_TEST = 10.0


class ClickHouseConnection(ClickHouseHook):
    """The plugin's hook with what Airflow wants to know of a connection type."""

    conn_name_attr = "clickhouse_conn_id"
    default_conn_name = default_conn_name
    conn_type = "clickhouse"
    hook_name = "ClickHouse"

    def test_connection(self) -> tuple[bool, str]:
        """Whether the server answers, and its version or what is wrong."""
        with ClickHouse(self._clickhouse_conn_id, pauses=(), answer_within=SECONDS_FOR_A_TEST) as clickhouse:
            try:
                (row,) = clickhouse.query("clickhouse/server_version")
            except QueryFailed as failure:
                return False, str(failure)
        return True, f"ClickHouse {row['version']} answers."
