"""Registers the package with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from web_analytics import airflow_version  # noqa: F401  # An older Airflow is told here that it is too old.
from web_analytics.reporting import links
from web_analytics.wiring import job_listener


class WebAnalyticsPlugin(AirflowPlugin):
    name = "web_analytics"
    listeners = [job_listener]
    operator_extra_links = [links.GapReportLink(), links.CoverageLink()]
    external_views = [links.external_view()]

    @property
    def fastapi_apps(self):
        """Imported when the API server asks; every other process loads this plugin too."""
        from web_analytics.api import app

        return [{"app": app.app, "url_prefix": app.URL_PREFIX, "name": "Web analytics"}]
