"""TLS on the way to ClickHouse, ended before it as load balancers do: the certificate is looked at, natively and over HTTPS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from web_analytics.clickhouse.connection import ClickHouse
from web_analytics.errors import QueryFailed


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """The files of a certificate of 127.0.0.1, which is its own authority, and of its key."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ClickHouse of a test")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "certificate.pem", folder / "key.pem"


def carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for each in (source, target):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


@contextmanager
def ending_tls(certificate, host: str, port: int):
    """The port of a proxy that speaks TLS and passes on to ClickHouse what it hears."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def serve(client: socket.socket) -> None:
        with suppress(OSError):
            heard = context.wrap_socket(client, server_side=True)
            server = socket.create_connection((host, port))
            threading.Thread(target=carry, args=(server, heard), daemon=True).start()
            carry(heard, server)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@pytest.fixture
def by_tls(clickhouse, clickhouse_server, certificate, monkeypatch):
    """``by_tls(extra)``: the version that ClickHouse answers through the proxy."""
    database = clickhouse.client.execute("SELECT currentDatabase()")[0][0]
    over_http = getattr(clickhouse_server, "speaks_http", False)
    if over_http:
        from clickhouse_connect.driver import httputil
    with ending_tls(certificate, clickhouse_server.host, clickhouse_server.port) as port:

        def ask(**extra: object) -> str:
            protocol = {"protocol": "https"} if over_http else {"secure": True}
            connection = {
                "conn_type": "clickhouse",
                "host": "127.0.0.1",
                "port": port,
                "login": clickhouse_server.user,
                "password": clickhouse_server.password,
                "schema": database,
                "extra": {**protocol, **extra},
            }
            monkeypatch.setenv("AIRFLOW_CONN_BY_TLS", json.dumps(connection))
            pools = set(httputil.all_managers) if over_http else None
            with ClickHouse("by_tls", pauses=()) as encrypted:
                found = encrypted.query("schema/current_database")[0]["database"]
            assert not over_http or set(httputil.all_managers) == pools, "sockets are kept"
            return found

        ask.database = database
        yield ask


def test_a_certificate_of_a_known_authority_is_accepted(by_tls, certificate):
    assert by_tls(ca_certs=str(certificate[0])) == by_tls.database


def test_a_certificate_of_an_unknown_authority_is_refused_unless_it_is_not_looked_at(by_tls):
    with pytest.raises(QueryFailed, match="(?i)certificate.verify.failed") as refused:
        by_tls()
    assert refused.value.code == 210
    assert by_tls(verify=False) == by_tls.database
