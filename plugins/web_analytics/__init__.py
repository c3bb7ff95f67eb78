"""Keeps the pre-aggregated web analytics tables in ClickHouse complete. DAG files only wire this package."""

__version__ = "1.0.0"
