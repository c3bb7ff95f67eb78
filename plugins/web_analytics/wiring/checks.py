"""common-sql's check of a table, through the package's one way to ClickHouse."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.sql.operators.sql import SQLTableCheckOperator


class TableCheck(SQLTableCheckOperator):
    """The provider's operator; its statement is asked by :class:`web_analytics.clickhouse.connection.ClickHouse`, with its
    settings and query id, and over HTTP where the connection says so."""

    def get_db_hook(self) -> Any:
        return _Records(self.task_id)


class _Records:
    """What the operator uses of a hook."""

    def __init__(self, name: str):
        self._name = name

    def get_records(self, sql: str) -> list[tuple]:
        from web_analytics.settings import Settings
        from web_analytics.tasks.runtime import current_task, open_clickhouse

        with open_clickhouse(Settings.load(), current_task()) as clickhouse:
            return clickhouse.records(self._name, sql)
