"""The places of the package's pages in Airflow's UI, and the ways to them from a run."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta
from urllib.parse import quote, urlencode, urlsplit

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from web_analytics.conf import MAX_RANGE_DAYS
from web_analytics.regions import region_of

URL_ROUTE = "web-analytics-coverage"
PATH = "/web-analytics/coverage"
# Days that a link to cells shows with them, and the most that the page shows: today and a year.
USUAL_DAYS, MOST_DAYS = 30, MAX_RANGE_DAYS + 1
# As many as one page of the map has at first; of more, the link names the days alone.
MOST_TEAMS = 25


def base_path() -> str:
    """What Airflow is mounted under; empty unless ``[api] base_url`` has a path."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def site() -> str:
    """The address of Airflow as far as it knows it, or else the path that it is mounted under."""
    return conf.get("api", "base_url", fallback="").rstrip("/")


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


def page_of(
    dag_id: str, run_id: str = "", days: Collection[date] = (), team_ids: Collection[int] = ()
) -> str:
    """The page of the region that a DAG serves, as a path below what Airflow is mounted under.

    :param run_id: the run whose dates it marks.
    :param days: from the first to the last of them is selected.
    :param team_ids: of these teams; only they are shown.
    """
    query = {"region": region_of(dag_id)} if region_of(dag_id) else {}
    if run_id:
        query |= {"dag_id": dag_id, "run_id": run_id}
    if days:
        last = max(days)
        end = last + timedelta(days=1)
        first = max(min(days), end - timedelta(days=MOST_DAYS))
        query |= {
            "date_start": min(first, end - timedelta(days=USUAL_DAYS)).isoformat(),
            "date_end": end.isoformat(),
            "selected_days": f"{first}..{last}" if first < last else str(last),
        }
    if 0 < len(team_ids) <= MOST_TEAMS:
        query["team_ids"] = query["selected_teams"] = ",".join(map(str, sorted(team_ids)))
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
        return f"{site()}/web-analytics/gap-reports/{ti_key.dag_id}/{quote(ti_key.run_id, safe='')}"


def link_to_coverage(dag):
    """Gives every task of a DAG the link.

    :returns: the DAG.
    """
    for task in dag.tasks:
        if not task.is_mapped:
            task.operator_extra_links = (CoverageLink(),)
    return dag
