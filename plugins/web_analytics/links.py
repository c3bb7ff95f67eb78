"""The coverage page's place in Airflow's UI, and the way to it from a run."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

URL_ROUTE = "web-analytics-coverage"
PATH = "/web-analytics/coverage"


def base_path() -> str:
    """What Airflow is mounted under; empty unless ``[api] base_url`` has a path."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def external_view() -> dict[str, object]:
    """The page in Airflow's navigation."""
    return {
        "name": "Coverage",
        "href": f"{base_path()}{PATH}",
        "destination": "nav",
        "url_route": URL_ROUTE,
        "nav_top_level": True,
        "icon": f"{base_path()}{PATH}/static/icon.svg",
        "icon_dark_mode": f"{base_path()}{PATH}/static/icon-dark.svg",
    }


class CoverageLink(BaseOperatorLink):
    """From a task instance to the dates of its run."""

    @property
    def name(self) -> str:
        return "Coverage"

    def get_link(self, operator, *, ti_key) -> str:
        base = base_path()
        query = urlencode({"dag_id": ti_key.dag_id, "run_id": ti_key.run_id})
        return f"{base}/plugin/{URL_ROUTE}{base}{PATH}?{query}"


def link_to_coverage(dag):
    """Gives every task of a DAG the link.

    :returns: the DAG.
    """
    for task in dag.tasks:
        if not task.is_mapped:
            task.operator_extra_links = (CoverageLink(),)
    return dag
