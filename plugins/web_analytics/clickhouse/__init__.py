"""The one door to ClickHouse: the connection, the statements of include/sql, the history of what was done."""
