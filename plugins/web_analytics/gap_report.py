"""The report of ``web_analytics_diagnostics`` as a page, and the task's link to it (api/gap_reports.py serves it)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

TEMPLATES = Path(__file__).parent / "templates"


class GapReportLink(BaseOperatorLink):
    """The button "Gap report" of the task."""

    @property
    def name(self) -> str:
        return "Gap report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        from airflow.configuration import conf

        base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{base}/web-analytics/gap-reports/{ti_key.dag_id}/{quote(ti_key.run_id, safe='')}"


@cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("gap_report.html")


def render(report: dict[str, Any], run_id: str, nonce: str) -> str:
    """The report as one HTML document without scripts, which can be saved and sent.

    :param report: what ``show_data_gaps`` returned.
    :param nonce: allows the document's own styles and nothing else.
    """
    return _template().render(report=report, run_id=run_id, nonce=nonce)
