"""The chDB engine behind ClickHouse's native TCP protocol: a development and test server."""
