"""Keeps the pre-aggregated web analytics tables in ClickHouse complete. DAG files only wire this package."""
