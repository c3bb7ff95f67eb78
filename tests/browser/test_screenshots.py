"""The pictures of the documentation, from the real page in a real browser: `make screenshots`.

They are made anew from the demo's data, so they cannot show what is no longer there; a selector that is gone fails.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.airflow_server import CHECKOUT, USERS, AirflowServer, wait_for
from tests.support import set_up

pytestmark = pytest.mark.screenshots

PICTURES = CHECKOUT / "docs" / "pictures"
DATABASE = "pictures"
RUN_SECONDS = 400
# Beside a run that has just ended the page may take its time.
SHOWN_MILLISECONDS = 60_000


@pytest.fixture(scope="module")
def server(clickhouse_server, airflow_database, tmp_path_factory) -> Iterator[AirflowServer]:
    """Airflow on the demo's events, of which some days were never built."""
    from clickhouse_driver import Client

    from demo import flow
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.settings import Settings

    Client(clickhouse_server.host, port=clickhouse_server.port).execute(f"CREATE DATABASE {DATABASE}")
    uri = clickhouse_server.uri(DATABASE)
    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = uri
    settings = Settings.load({})
    with ClickHouse("clickhouse_default") as clickhouse:
        set_up(clickhouse, settings)
        flow.load_sample_data(clickhouse, settings)
    with AirflowServer(tmp_path_factory.mktemp("airflow"), uri) as started:
        started.pause("web_analytics_team_backfill")
        for dag in ("backfill", "diagnostics", "cleanup"):
            started.unpause(f"web_analytics_{dag}")
        yield started


@pytest.fixture
def page(browser: Browser, server: AirflowServer) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    opened = context.new_page()
    opened.goto(server.base)
    opened.fill("input[name=username]", "anna")
    opened.fill("input[name=password]", USERS["anna"][1])
    opened.keyboard.press("Enter")
    opened.get_by_text("Dags", exact=True).first.wait_for()
    yield opened
    context.close()


def take(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=PICTURES / f"{name}.png")


def show_coverage(page: Page):
    page.get_by_role("link", name="Coverage").click()
    frame = page.frame_locator("iframe[title=Coverage]")
    expect(frame.locator("table.heat")).to_be_visible(timeout=SHOWN_MILLISECONDS)
    return frame


def test_pictures(page: Page, server: AirflowServer):
    frame = show_coverage(page)
    frame.locator("td.cell.s-m").first.click()
    expect(frame.locator("#details")).to_contain_text("raw pageviews", timeout=SHOWN_MILLISECONDS)
    take(page, "coverage-with-gaps")

    assert server.run("web_analytics_diagnostics", {}, RUN_SECONDS) == "success"
    (report,) = server.call("GET", "/api/v2/dags/web_analytics_diagnostics/dagRuns").json()["dag_runs"]
    page.goto(f"{server.base}/web-analytics/gap-reports/web_analytics_diagnostics/{report['dag_run_id']}")
    expect(page.get_by_role("button", name="Copy").first).to_be_visible(timeout=SHOWN_MILLISECONDS)
    take(page, "gap-report")

    assert server.run("web_analytics_backfill", {"max_partitions": 30}, RUN_SECONDS) == "success"
    page.goto(server.base)
    frame = show_coverage(page)
    expect(frame.locator("#verdict")).to_contain_text("No gaps", timeout=SHOWN_MILLISECONDS)
    take(page, "coverage-after-the-backfill")
    page.goto(f"{server.base}/dags/web_analytics_backfill")
    page.get_by_text("decide").first.wait_for()
    take(page, "task-grid")

    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    conf = {
        "team_id": 1,
        "date_start": str(yesterday - timedelta(days=2)),
        "date_end": str(yesterday),
        "dry_run": False,
    }
    body = {"logical_date": None, "conf": conf}
    assert server.call("POST", "/api/v2/dags/web_analytics_cleanup/dagRuns", body).status == 200
    wait_for(
        lambda: "approve" in json.dumps(server.call("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails").json()),
        RUN_SECONDS,
        "somebody who is asked",
    )
    page.goto(f"{server.base}/required_actions")
    page.get_by_role("link").filter(has_text="Delete").first.click()
    page.get_by_role("button", name="Approve").wait_for()
    take(page, "approval-of-a-cleanup")
