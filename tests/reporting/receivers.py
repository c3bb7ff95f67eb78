"""Endpoints on the loopback interface that keep what they are sent: a web server, a mail server, StatsD."""

from __future__ import annotations

import contextlib
import email
import email.policy
import http.server
import json
import socket
import threading
from collections.abc import Generator
from email.message import EmailMessage
from typing import Any


@contextlib.contextmanager
def http_endpoint() -> Generator[tuple[str, list[dict[str, Any]]], None, None]:
    """:returns: its address, and what is posted to it: path, headers and body."""
    received: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"path": self.path, "headers": dict(self.headers), "body": body})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def mail() -> Generator[tuple[str, list[EmailMessage]], None, None]:
    """:returns: the connection as Airflow has it in its environment, and what arrives."""
    from aiosmtpd.controller import Controller

    received: list[EmailMessage] = []

    class Handler:
        async def handle_DATA(self, server, session, envelope):
            received.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
            return "250 OK"

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    connection = {
        "conn_type": "smtp",
        "host": "127.0.0.1",
        "port": port,
        "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"},
    }
    try:
        yield json.dumps(connection), received
    finally:
        controller.stop()


class StatsD:
    """A UDP socket that a StatsD client sends to."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    def receive(self, prefix: str, until: str) -> list[str]:
        """The lines that begin with the prefix, up to the one that contains ``until``."""
        lines: list[str] = []
        while not any(until in line for line in lines):
            for line in self.socket.recv(65536).decode().splitlines():
                if line.startswith(prefix):
                    lines.append(line)
        return lines

    def close(self) -> None:
        self.socket.close()
