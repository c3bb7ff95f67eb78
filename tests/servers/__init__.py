"""ClickHouse's own listener on this machine, for tests. See tests/servers/README.md."""
