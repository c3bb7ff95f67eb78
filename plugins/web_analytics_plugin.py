"""Registers the package with Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from web_analytics import gap_report, job_listener, links


class WebAnalyticsPlugin(AirflowPlugin):
    name = "web_analytics"
    listeners = [job_listener]
    operator_extra_links = [gap_report.GapReportLink(), links.CoverageLink()]
    external_views = [links.external_view()]

    @property
    def fastapi_apps(self):
        """Imported when the API server asks; every other process loads this plugin too."""
        from web_analytics import api

        return [{"app": api.app, "url_prefix": api.URL_PREFIX, "name": "Web analytics"}]
