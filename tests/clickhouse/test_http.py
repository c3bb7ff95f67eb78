"""ClickHouse over HTTP: which connections take it, and what a failure on the way is. `make test-server` runs the contract
of the door over it."""

from __future__ import annotations

import datetime
import json
import socketserver
import threading
from contextlib import contextmanager

import pytest
from airflow.sdk import Connection

from web_analytics.clickhouse import http
from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import BadSetting, QueryFailed

httputil = pytest.importorskip("clickhouse_connect.driver.httputil")


def connection(port: int | None = None, **extra: object) -> Connection:
    return Connection(
        conn_id="some",
        conn_type="clickhouse",
        host="h",
        login="u",
        password="p",
        port=port,
        extra=json.dumps(extra),
    )


@pytest.mark.parametrize(
    ("port", "extra", "protocol"),
    [
        (None, {}, "native"),
        (9000, {}, "native"),
        (9440, {"secure": True}, "native"),
        (8123, {}, "http"),
        (8123, {"secure": True}, "https"),
        (8443, {}, "https"),
        (8443, {"protocol": "native", "secure": True}, "native"),
        (80, {"protocol": "http"}, "http"),
        (443, {"protocol": "https"}, "https"),
        (443, {"protocol": "http", "secure": "true"}, "https"),
        (9000, {"protocol": None}, "native"),
    ],
)
def test_the_port_or_the_extra_chooses_the_protocol(port, extra, protocol):
    assert http.protocol_of(connection(port, **extra)) == protocol


def test_what_means_nothing_over_http_is_named():
    with pytest.raises(
        BadSetting, match="protocol of the connection some is 'grpc'; accepted: native, http, https"
    ):
        http.protocol_of(connection(protocol="grpc"))
    with pytest.raises(
        BadSetting, match="extra of the connection some is 'alt_hosts'; accepted: protocol, secure, ca_certs"
    ):
        http.arguments_of(connection(8443, alt_hosts="other"))


def test_the_extras_of_the_native_driver_are_understood():
    given = http.arguments_of(
        connection(None, protocol="https", ca_certs="/ca.pem", verify=False, connect_timeout=3)
    )
    assert given == {
        "interface": "https",
        "host": "h",
        "port": 8443,
        "username": "u",
        "password": "p",
        "database": "default",
        "ca_cert": "/ca.pem",
        "verify": False,
        "connect_timeout": 3,
    }


def test_without_the_library_the_sentence_names_it(monkeypatch):
    monkeypatch.setattr(http, "find_spec", lambda name: None)
    with pytest.raises(BadSetting, match="the package clickhouse-connect is not installed"):
        http.arguments_of(connection(8443))


def test_rows_of_a_set_are_written_as_the_server_reads_them():
    structure = [("id", "Int64"), ("day", "Date"), ("text", "Nullable(String)")]
    rows = [
        {"id": 1, "day": datetime.date(2026, 1, 2), "text": "a\tb\\c\nd"},
        {"id": -(2**62), "day": datetime.date(2026, 1, 3), "text": None},
    ]
    [file] = http._external_data([{"name": "t", "structure": structure, "data": rows}]).files
    assert file.data.decode() == "1\t2026-01-02\ta\\tb\\\\c\\nd\n" + f"{-(2**62)}\t2026-01-03\t\\N\n"
    assert file.query_params == {
        "t_format": "TabSeparated",
        "t_structure": "id Int64,day Date,text Nullable(String)",
    }


@contextmanager
def speaking(answer: bytes | None):
    """A server that answers every request so, or never."""
    asked, released = [], threading.Event()

    class Speaks(socketserver.StreamRequestHandler):
        def handle(self):
            asked.append(self.request.recv(65536))
            if answer is None:
                released.wait(30)
            else:
                self.wfile.write(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1], asked
        finally:
            released.set()
            server.shutdown()


def failure(monkeypatch, port: int, **extra: str) -> QueryFailed:
    query = "&".join(f"{name}={value}" for name, value in {"protocol": "http", **extra}.items())
    monkeypatch.setenv("AIRFLOW_CONN_CLICKHOUSE_DEFAULT", f"clickhouse://u:p@127.0.0.1:{port}/d?{query}")
    pools = set(httputil.all_managers)
    with ClickHouse("clickhouse_default", pauses=()) as clickhouse, pytest.raises(QueryFailed) as failed:
        clickhouse.query("schema/current_database")
    assert set(httputil.all_managers) == pools, "sockets are kept"
    return failed.value


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 3\r\n\r\nbad", 210),
        (b"HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n", 210),
        (b"", 210),
        (
            b"HTTP/1.1 500 Internal Server Error\r\nX-ClickHouse-Exception-Code: 241\r\nContent-Length: 48\r\n\r\n"
            b"Code: 241. DB::Exception: Memory limit exceeded.",
            241,
        ),
    ],
)
def test_what_goes_wrong_on_the_way_has_the_code_of_the_native_protocol(monkeypatch, answer, code):
    with speaking(answer) as (port, asked):
        assert failure(monkeypatch, port).code == code
    assert asked


def test_a_server_that_is_silent_is_a_timeout(monkeypatch):
    with speaking(None) as (port, _):
        assert failure(monkeypatch, port, send_receive_timeout="1").code == 209


def test_a_port_where_nobody_listens_is_a_broken_connection(monkeypatch):
    assert failure(monkeypatch, 1).code == 210
