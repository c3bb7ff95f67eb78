"""What the wheel tells Airflow as a provider: the form of a ClickHouse connection.

``airflow-clickhouse-plugin`` has the hook, but registers no connection type, so Airflow's UI would offer no form for it.
Airflow finds this by the entry point ``apache_airflow_provider``, which only an installed distribution has: a deployment
that copies folders writes the connection as a URI, by REST or by the CLI. Airflow reads it while it is itself being
imported: nothing of Airflow may be imported here.
"""

from __future__ import annotations

from typing import Any


def get_provider_info() -> dict[str, Any]:
    """The provider's description, as Airflow's schema ``provider_info.schema.json`` defines it."""
    return {
        "package-name": "web-analytics-preaggregation",
        "name": "Web analytics pre-aggregation",
        "description": "Keeps pre-aggregated web analytics tables in ClickHouse complete.",
        "connection-types": [
            {
                "connection-type": "clickhouse",
                "hook-class-name": "web_analytics.clickhouse.hook.ClickHouseConnection",
                "hook-name": "ClickHouse",
                "ui-field-behaviour": {
                    "relabeling": {"schema": "Database", "login": "User"},
                    "placeholders": {
                        "host": "clickhouse.example.com",
                        "port": "9000, or 9440 with TLS; 8123 and 8443 over HTTP and HTTPS",
                        "schema": "the database that holds events",
                    },
                },
                "conn-fields": {
                    "secure": {
                        "label": "TLS",
                        "description": "The server's native port with TLS is 9440, that of HTTPS 8443.",
                        "schema": {"type": "boolean", "default": False},
                    },
                    "protocol": {
                        "label": "Protocol",
                        "description": "Empty: native, but HTTP on port 8123 and HTTPS on 8443. http and https need "
                        "the package clickhouse-connect.",
                        "schema": {"type": ["string", "null"], "enum": [None, "native", "http", "https"]},
                    },
                },
            }
        ],
    }
