"""Tells OpenLineage which tables a task reads and writes, where apache-airflow-providers-openlineage is installed and
``[openlineage] extractors`` names :class:`TableExtractor` (docs/operations.md). Nothing else imports this module.

The provider converts only assets of schemes that a provider has registered, and there is none for ClickHouse.
"""

from __future__ import annotations

from airflow.providers.openlineage.extractors.base import BaseExtractor, OperatorLineage
from openlineage.client.event_v2 import Dataset

from web_analytics.settings import Settings
from web_analytics.wiring.assets import TABLE_ASSETS

SOURCE = "web_analytics_source_events"


class TableExtractor(BaseExtractor):
    """Of a task whose outlets are the tables: the source view and the tables. Of any other task: nothing, so that
    its own inlets and outlets are taken."""

    @classmethod
    def get_operator_classnames(cls) -> list[str]:
        return ["_PythonDecoratedOperator"]

    def _execute_extraction(self) -> OperatorLineage:
        assets = TABLE_ASSETS.values()
        tables = [asset.name for asset in self.operator.outlets if asset in assets]
        if not tables:
            return OperatorLineage()
        from airflow_clickhouse_plugin.hooks.clickhouse import ClickHouseHook

        connection = ClickHouseHook.get_connection(Settings.load().clickhouse_conn_id)
        namespace = f"clickhouse://{connection.host}:{connection.port or 9000}"
        database = connection.schema or "default"
        return OperatorLineage(
            inputs=[Dataset(namespace, f"{database}.{SOURCE}")],
            outputs=[Dataset(namespace, f"{database}.{table}") for table in tables],
        )
