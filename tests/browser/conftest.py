"""A browser, an Airflow with logins, and a ClickHouse with known gaps."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

import pytest

from tests.browser.airflow_server import AirflowServer
from tests.support import Source, set_up

DATABASE = "browser"
HOSTILE = "<img src=x onerror=\"document.title='taken over'\"><script>document.title='taken over'</script>"
# Team 1 is complete, 3 lacks one day, 4 two; 5 is not enabled. Of the last team JavaScript would round the id.
LONG_ID = 2**63 - 1
TEAMS = (1, 3, 4, LONG_ID)


def chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser():
    path = chromium()
    if path is None:
        pytest.fail("There is no Chromium: install it (apt-get install chromium) or name it in CHROMIUM.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def browser_source(clickhouse_server, airflow_database):
    """Five closed days of traffic; the days of the fixture ``gaps`` are missing."""
    from clickhouse_driver import Client

    from web_analytics.build.steps import build_partition
    from web_analytics.clickhouse import history
    from web_analytics.clickhouse.connection import ClickHouse
    from web_analytics.clickhouse.history import TaskIdentity
    from web_analytics.rules.service_level import DayCount, ServiceLevel
    from web_analytics.settings import Settings

    Client(clickhouse_server.host, port=clickhouse_server.port).execute(f"CREATE DATABASE {DATABASE}")
    os.environ["AIRFLOW_CONN_CLICKHOUSE_DEFAULT"] = clickhouse_server.uri(DATABASE)
    settings = Settings.load({})
    with ClickHouse("clickhouse_default") as connection:
        set_up(connection, settings)
        source = Source(connection)
        source.enable(*TEAMS)
        days = gap_days()
        source.visits([*TEAMS, 5], days)
        for number, day in enumerate(days):
            complete = [
                team for team in TEAMS if (team != 3 or number != 1) and (team != 4 or number not in (1, 2))
            ]
            build_partition(connection, settings, day, complete, run_id=HOSTILE)
        history.append(
            connection,
            TaskIdentity("web_analytics_backfill", HOSTILE),
            kind="decision",
            status="skip",
            reason=f"2 missing partitions stay below the threshold 3 {HOSTILE}",
        )
        history.append(
            connection,
            TaskIdentity("web_analytics_health", "some check"),
            kind="health",
            status="ok",
            details={"service_level": ServiceLevel(6, 99.0, (DayCount(days[0], 1000, 6),)).to_json()},
        )
        yield source


def gap_days():
    """Newest first, and all closed whatever the hour of the day."""
    from datetime import UTC, datetime

    newest = datetime.now(UTC).date() - timedelta(days=3)
    return [newest - timedelta(days=offset) for offset in range(5)]


@pytest.fixture(scope="session")
def region_eu(browser_source, clickhouse_server):
    """A region with one team, which lacks the newest of the days.

    :returns: the environment that names it.
    """
    from clickhouse_driver import Client

    from web_analytics.clickhouse.connection import ClickHouse

    Client(clickhouse_server.host, port=clickhouse_server.port).execute(f"CREATE DATABASE {DATABASE}_eu")
    environment = {
        "WEB_ANALYTICS_REGIONS": "eu",
        "WEB_ANALYTICS_CLICKHOUSE_CONN_ID__EU": "clickhouse_eu",
        "AIRFLOW_CONN_CLICKHOUSE_EU": clickhouse_server.uri(f"{DATABASE}_eu"),
    }
    os.environ["AIRFLOW_CONN_CLICKHOUSE_EU"] = environment["AIRFLOW_CONN_CLICKHOUSE_EU"]
    with ClickHouse("clickhouse_eu") as connection:
        set_up(connection)
        source = Source(connection)
        source.enable(77)
        source.visits([77], gap_days()[:1])
    return environment


@pytest.fixture(scope="session")
def airflow(browser_source, clickhouse_server, region_eu, tmp_path_factory):
    uri = clickhouse_server.uri(DATABASE)
    # No gap is filled for its age: the buttons have to do it.
    environment = {**region_eu, "WEB_ANALYTICS_BACKFILL_MAX_GAP_AGE_HOURS": "10000"}
    with AirflowServer(tmp_path_factory.mktemp("airflow"), uri, environment) as server:
        for dag_id in ("web_analytics_backfill", "web_analytics_validate"):
            server.unpause(dag_id)
        # The first backfill of the teams enabled here would fill the gaps that the tests are about.
        for dag_id in ("web_analytics_team_backfill", "web_analytics_team_backfill__eu"):
            server.pause(dag_id)
        yield server
