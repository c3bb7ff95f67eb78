"""Registers the package with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from web_analytics import job_listener


class WebAnalyticsPlugin(AirflowPlugin):
    name = "web_analytics"
    listeners = [job_listener]
