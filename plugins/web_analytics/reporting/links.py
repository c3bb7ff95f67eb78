"""The places of the package's pages in Airflow's UI, and the ways to them from a run."""

from __future__ import annotations

from urllib.parse import quote, urlencode, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from web_analytics.regions import region_of

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


def page_of(dag_id: str, run_id: str = "") -> str:
    """The page of the region that a DAG serves, as a path below what Airflow is mounted under.

    :param run_id: the run whose dates it marks.
    """
    query = {"region": region_of(dag_id)} if region_of(dag_id) else {}
    if run_id:
        query |= {"dag_id": dag_id, "run_id": run_id}
    if not query:
        return f"/plugin/{URL_ROUTE}"
    return f"/plugin/{URL_ROUTE}{base_path()}{PATH}?{urlencode(query)}"


class CoverageLink(BaseOperatorLink):
    """From a task instance to the dates of its run."""

    @property
    def name(self) -> str:
        return "Coverage"

    def get_link(self, operator, *, ti_key) -> str:
        return base_path() + page_of(ti_key.dag_id, ti_key.run_id)


class GapReportLink(BaseOperatorLink):
    """From the task ``show_data_gaps`` to its report as a page, which api/gap_reports.py serves."""

    @property
    def name(self) -> str:
        return "Gap report"

    def get_link(self, operator, *, ti_key) -> str:
        base = conf.get("api", "base_url", fallback="").rstrip("/")
        return f"{base}/web-analytics/gap-reports/{ti_key.dag_id}/{quote(ti_key.run_id, safe='')}"


def link_to_coverage(dag):
    """Gives every task of a DAG the link.

    :returns: the DAG.
    """
    for task in dag.tasks:
        if not task.is_mapped:
            task.operator_extra_links = (CoverageLink(),)
    return dag
