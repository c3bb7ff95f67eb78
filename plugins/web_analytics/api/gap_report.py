"""The report of ``web_analytics_diagnostics`` as a page."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent


@cache
def _template():
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template("gap_report.html")


def render(
    report: dict[str, Any], run_id: str, nonce: str, address_of: Callable[[dict[str, Any]], str]
) -> str:
    """The report as one HTML document, which can be saved and sent.

    :param report: what ``show_data_gaps`` returned.
    :param nonce: allows the document's own styles and its own script, and nothing else.
    :param address_of: the address of the coverage page with the days of a gap selected.
    """
    return _template().render(report=report, run_id=run_id, nonce=nonce, address_of=address_of)
