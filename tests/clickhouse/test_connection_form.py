"""What Airflow shows and asks where the wheel is installed: the form of a connection, and its button Test."""

from __future__ import annotations

import json
import socketserver
import threading
from pathlib import Path

import airflow
import jsonschema

from web_analytics.clickhouse.hook import ClickHouseConnection
from web_analytics.clickhouse.provider_info import get_provider_info


class SpeaksHttp(socketserver.StreamRequestHandler):
    def handle(self):
        self.request.recv(4096)
        self.wfile.write(b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program")


def test_airflows_own_schema_accepts_the_description():
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_form_is_that_of_the_hook():
    (form,) = get_provider_info()["connection-types"]
    assert form["hook-class-name"] == f"{ClickHouseConnection.__module__}.{ClickHouseConnection.__name__}"
    assert (form["connection-type"], form["hook-name"]) == (
        ClickHouseConnection.conn_type,
        ClickHouseConnection.hook_name,
    )


def test_the_server_that_answers_is_named(clickhouse):
    year, month = clickhouse.server_version
    accepted, message = ClickHouseConnection(clickhouse_conn_id="clickhouse_default").test_connection()
    assert accepted
    assert message.startswith(f"ClickHouse {year}.{month}.")


def test_an_http_port_is_refused_with_the_ports_to_take(monkeypatch):
    with socketserver.TCPServer(("127.0.0.1", 0), SpeaksHttp) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv(
            "AIRFLOW_CONN_CLICKHOUSE_DEFAULT", f"clickhouse://u:p@127.0.0.1:{server.server_address[1]}/d"
        )
        accepted, message = ClickHouseConnection(clickhouse_conn_id="clickhouse_default").test_connection()
        server.shutdown()
    assert not accepted
    assert "9000, or 9440 with TLS" in message
