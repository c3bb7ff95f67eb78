"""ClickHouse over HTTP and HTTPS, for networks that let nothing else through: what the door uses of the native driver's
client, by the official library ``clickhouse-connect``.

Values are written into statements by the native driver's own rules, and failures are its exceptions, so that the door
need not know which one it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from web_analytics.errors import BadSetting

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from clickhouse_connect.driver.client import Client
    from urllib3.poolmanager import PoolManager

PORTS = {8123: "http", 8443: "https"}
PROTOCOLS = ("native", "http", "https")
# Extras of the connection, as the native driver calls them, and what they are called here.
EXTRAS = {
    "ca_certs": "ca_cert",
    "certfile": "client_cert",
    "keyfile": "client_cert_key",
    "verify": "verify",
    "connect_timeout": "connect_timeout",
    "send_receive_timeout": "send_receive_timeout",
    "compression": "compress",
    "http_path": "proxy_path",
    "settings": "settings",
}
# An address has them as text.
FLAGS, WORDS = ("verify", "compression"), {"true": True, "false": False, "1": True, "0": False}
OF_TLS = ("ca_cert", "client_cert", "client_cert_key", "verify")
# Load balancers end connections that say nothing for a minute or so, and whoever waits for an answer does after ten
# seconds. The library reads 10,000 such headers, eight hours.
PROGRESS_MILLISECONDS = 3_000
GIVES_ROWS = re.compile(
    r"(?:\s|--[^\n]*\n|\()*(?:SELECT|WITH|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN)\b", re.IGNORECASE
)
KILLS = re.compile(r"(?:\s|--[^\n]*\n)*KILL\b", re.IGNORECASE)
INSERTS_ROWS = re.compile(
    r"(?:\s|--[^\n]*\n)*INSERT\s+INTO\s+(?:TABLE\s+)?(?P<table>\S+)\s*(?:\((?P<columns>[^)]*)\))?\s*VALUES\s*$",
    re.IGNORECASE,
)
CODE = re.compile(r"(?:Code: |error code )(\d+)")
READONLY = 164
# Instants are written in UTC, which every statement's session has.
IN_UTC = SimpleNamespace(server_info=SimpleNamespace(get_timezone=lambda: "UTC"))
ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n"})


def protocol_of(connection: Connection) -> str:
    """``native``, ``http`` or ``https``: what the connection's extra says, else what its port is known for.

    :raises BadSetting: the extra says something else.
    """
    extra = connection.extra_dejson
    told = extra.get("protocol") or PORTS.get(connection.port, "native")
    if told not in PROTOCOLS:
        raise BadSetting(f"protocol of the connection {connection.conn_id}", told, ", ".join(PROTOCOLS))
    return "https" if told == "http" and extra.get("secure") in (True, "true", "True", "1", 1) else told


def arguments_of(connection: Connection) -> dict[str, Any]:
    """What :class:`HttpClient` takes of a connection.

    :raises BadSetting: an extra that means nothing over HTTP.
    """
    extra = {
        name: value for name, value in connection.extra_dejson.items() if name not in ("protocol", "secure")
    }
    if unknown := sorted(extra.keys() - EXTRAS.keys()):
        accepted = ", ".join(("protocol", "secure", *EXTRAS))
        raise BadSetting(f"extra of the connection {connection.conn_id}", unknown[0], accepted)
    protocol = protocol_of(connection)
    if find_spec("clickhouse_connect") is None:
        told = f"{protocol}, and the package clickhouse-connect is not installed"
        raise BadSetting(
            f"protocol of the connection {connection.conn_id}",
            told,
            "native; or http and https with that package",
        )
    default_port = {name: port for port, name in PORTS.items()}[protocol]
    return {
        "interface": protocol,
        "host": connection.host or "localhost",
        "port": connection.port or default_port,
        "username": connection.login or "default",
        "password": connection.password or "",
        "database": connection.schema or "default",
        **{
            EXTRAS[name]: WORDS.get(value, value) if name in FLAGS else value for name, value in extra.items()
        },
    }


@dataclass
class Progress:
    rows: int = 0
    bytes: int = 0
    written_rows: int = 0


@dataclass
class LastQuery:
    """What the server said of a statement in its header X-ClickHouse-Summary."""

    progress: Progress = field(default_factory=Progress)


class HttpClient:
    """A client of one ClickHouse over HTTP. It connects with its first statement, and keeps no session on the server.

    :param arguments: those of :func:`arguments_of`.
    """

    def __init__(self, **arguments: Any):
        # The native driver's timeouts, where the door gives them.
        arguments.pop("sync_request_timeout", None)
        self._settings = arguments.pop("settings", {})
        self._arguments = arguments
        self._client: Client | None = None
        self._pool: PoolManager | None = None
        self.last_query = LastQuery()

    def disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._pool is not None:
            from clickhouse_connect.driver.httputil import all_managers

            self._pool.clear()
            # The library keeps every pool until its process ends.
            all_managers.pop(self._pool, None)
            self._pool = None

    def execute(
        self,
        query: str,
        params: Mapping[str, Any] | Sequence[Any] | None = None,
        *,
        with_column_types: bool = False,
        external_tables: Sequence[Mapping[str, Any]] | None = None,
        query_id: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> Any:
        """As the native driver's: rows, or with ``with_column_types`` rows and columns with their types.

        :param params: values for the statement's ``%(name)s``; or the rows of an ``INSERT … VALUES``.
        :raises clickhouse_driver.errors.ServerException: ClickHouse refused or ended the statement.
        :raises clickhouse_driver.errors.Error: it did not answer.
        """
        import clickhouse_connect.driver.exceptions as theirs
        from clickhouse_driver import errors
        from urllib3.exceptions import HTTPError

        self.last_query = LastQuery()
        try:
            client = self._connected()
            sent = self._accepted(client, {**self._settings, **(settings or {})})
            if query_id is not None:
                sent["query_id"] = query_id
            if params is not None and not isinstance(params, Mapping):
                return self._insert(client, query, list(params), sent)
            text = with_values(query, params)
            external = _external_data(external_tables)
            if KILLS.match(text):
                found = _read_tsv(client.raw_query(text, settings=sent, fmt="TabSeparatedWithNames"))
                return found if with_column_types else found[0]
            if not GIVES_ROWS.match(text):
                summary = client.command(text, settings=sent, external_data=external)
                self._note(getattr(summary, "summary", {}))
                return ([], []) if with_column_types else []
            found = client.query(text, settings=sent, external_data=external, query_tz="UTC")
        except theirs.ProgrammingError as error:
            # Before it asks, the library looks whether the login may change a setting.
            raise errors.ServerException(str(error), getattr(error, "code", None) or READONLY) from error
        except (theirs.Error, HTTPError) as error:
            raise _as_native(error) from error
        self._note(found.summary)
        types = [each.name for each in found.column_types]
        rows = [tuple(row) for row in zip(*map(_with_zone, types, found.result_columns), strict=True)]
        return (rows, list(zip(found.column_names, types, strict=True))) if with_column_types else rows

    def _connected(self) -> Client:
        if self._client is None:
            import clickhouse_connect
            from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager

            arguments = dict(self._arguments)
            interface = arguments["interface"]
            # Sockets of its own: cancelling happens in a signal handler, which may interrupt another client.
            options = {name: arguments.pop(name) for name in OF_TLS if name in arguments}
            if interface == "http":
                options = {}
            if proxy := check_env_proxy(interface, arguments["host"], arguments["port"]):
                options[f"{interface}_proxy"] = proxy
            self._pool = self._pool or get_pool_manager(**options)
            arguments["pool_mgr"] = self._pool
            # A statement that is repeated is repeated by the door, which knows which ones may be.
            self._client = clickhouse_connect.get_client(
                **arguments, autogenerate_session_id=False, query_retries=0, form_encode_query_params=True
            )
        return self._client

    @staticmethod
    def _accepted(client: Client, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Without those that an older server does not know, which the native protocol ignores too."""
        known = {name: value for name, value in settings.items() if name in client.server_settings}
        interval = {"http_headers_progress_interval_ms": PROGRESS_MILLISECONDS}
        return {**known, **interval, "send_progress_in_http_headers": 1, "wait_end_of_query": 1}

    def _insert(self, client: Client, query: str, rows: list[Any], settings: dict[str, Any]) -> int:
        found = INSERTS_ROWS.match(query)
        if found is None:
            raise ValueError(f"rows cannot be sent to {query[:100]!r}")
        names = [name.strip(" `\n") for name in found["columns"].split(",")] if found["columns"] else "*"
        if not rows:
            return 0
        if isinstance(rows[0], Mapping):
            names = list(rows[0]) if names == "*" else names
            rows = [[row[name] for name in names] for row in rows]
        database, _, table = found["table"].replace("`", "").rpartition(".")
        summary = client.insert(
            table, rows, column_names=names, settings=settings, **({"database": database} if database else {})
        )
        self._note(summary.summary)
        return len(rows)

    def _note(self, summary: Mapping[str, str]) -> None:
        numbers = (int(summary.get(name, 0)) for name in ("read_rows", "read_bytes", "written_rows"))
        self.last_query = LastQuery(Progress(*numbers))


def with_values(query: str, params: Mapping[str, Any] | None) -> str:
    """The statement with its values, as the native driver sends it."""
    from clickhouse_driver.util.escape import escape_params

    return query if params is None else query % escape_params(params, IN_UTC)


def _with_zone(kind: str, values: Sequence[Any]) -> Sequence[Any]:
    """A column as the native driver gives it: instants of a type that names its zone have theirs."""
    if not re.fullmatch(r"(Nullable\()?DateTime(64)?\(.*'UTC'\)*", kind):
        return values
    return [value if value is None or value.tzinfo else value.replace(tzinfo=UTC) for value in values]


def _read_tsv(answer: bytes) -> tuple[list[tuple], list[tuple[str, str]]]:
    """The rows and columns of what KILL QUERY answers, which the library takes for a command without rows."""
    names, *rows = [tuple(line.split("\t")) for line in answer.decode().splitlines()] or [()]
    return rows, [(name, "String") for name in names]


def _external_data(tables: Sequence[Mapping[str, Any]] | None) -> Any:
    if not tables:
        return None
    from clickhouse_connect.driver.external import ExternalData

    data = ExternalData()
    for table in tables:
        columns = table["structure"]
        lines = (_line(row[name] for name, _ in columns) for row in table["data"])
        data.add_file(
            file_name=table["name"],
            data="".join(lines).encode(),
            fmt="TabSeparated",
            structure=[f"{name} {kind}" for name, kind in columns],
        )
    return data


def _line(values: Iterable[Any]) -> str:
    return "\t".join(map(_in_tsv, values)) + "\n"


def _in_tsv(value: Any) -> str:
    if value is None:
        return "\\N"
    return value.isoformat() if isinstance(value, date) else str(value).translate(ESCAPED)


def _as_native(error: Exception) -> Exception:
    """The native driver's exception for a failure over HTTP."""
    from clickhouse_driver import errors
    from urllib3.exceptions import NewConnectionError
    from urllib3.exceptions import TimeoutError as Late

    told = str(error)
    code = getattr(error, "code", None) or next((int(found) for found in CODE.findall(told)), None)
    if code:
        return errors.ServerException(told, int(code))
    causes, each = [], error
    while each is not None:
        causes.append(each)
        each = each.__cause__ or each.__context__
    if any(isinstance(cause, Late) and not isinstance(cause, NewConnectionError) for cause in causes):
        return errors.SocketTimeoutError(told)
    return errors.NetworkError(told)
