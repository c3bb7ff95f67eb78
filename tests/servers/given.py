"""The ClickHouse that the environment names."""

from __future__ import annotations

from urllib.parse import quote, unquote, urlsplit


class GivenServer:
    """The ClickHouse at CLICKHOUSE_TEST_URL, with what the fixtures use of the embedded server's object; over HTTP where
    the address says so."""

    def __init__(self, address: str):
        parts = urlsplit(address)
        self.speaks_http = parts.scheme in ("http", "https")
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 9000
        self.user, self.password = unquote(parts.username or "default"), unquote(parts.password or "")
        query = "&".join(filter(None, [f"protocol={parts.scheme}" if self.speaks_http else "", parts.query]))
        self._query = f"?{query}" if query else ""

    def uri(self, database: str) -> str:
        login, password = quote(self.user, safe=""), quote(self.password, safe="")
        return f"clickhouse://{login}:{password}@{self.host}:{self.port}/{database}{self._query}"
