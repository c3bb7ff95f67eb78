"""A region's own answers: the page and the registry of its ClickHouse, in the name of its DAGs."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import pytest

from web_analytics.build.steps import build_partition
from web_analytics.clickhouse import history
from web_analytics.clickhouse.history import TaskIdentity
from web_analytics.reporting import links

PAGE, TEAMS = "/web-analytics/coverage", "/web-analytics/teams"
BACKFILL_EU = "web_analytics_backfill__eu"


@pytest.fixture
def ask(airflow_api, login, dags_in_database):
    """``ask(path, role)``: what is answered, as JSON."""

    def get(path: str, role: str = "viewer"):
        answer = airflow_api.get(path, headers=login(role))
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


def test_the_page_shows_the_region_that_is_asked_for(ask, source, eu, settings, days):
    [day] = days(1)
    source.enable(1)
    source.visits([1], [day])
    eu.enable(7)
    eu.visits([7], [day])
    build_partition(eu.clickhouse, settings, day, [7])
    history.append(
        eu.clickhouse, TaskIdentity(BACKFILL_EU, "a run"), kind="decision", status="skip", reason="of eu"
    )

    here, there = ask(f"{PAGE}/data?days=3"), ask(f"{PAGE}/data?days=3&region=eu")
    assert (here["region"], here["regions"]) == ("", ["eu", "us1"])
    assert (there["region"], there["regions"]) == ("eu", ["eu", "us1"])
    assert [(team["team_id"], team["gaps"]) for team in here["teams"]] == [("1", 2)]
    assert [(team["team_id"], team["gaps"]) for team in there["teams"]] == [("7", 0)]
    # again, now that counts are kept
    assert ask(f"{PAGE}/data?days=3")["teams"] == here["teams"]

    states = [table["state"] for table in ask(f"{PAGE}/cells/7/{day}?region=eu")["tables"]]
    assert states == ["complete", "complete"]
    states = [table["state"] for table in ask(f"{PAGE}/cells/7/{day}")["tables"]]
    assert states == ["not enabled", "not enabled"]
    assert [each["reason"] for each in ask(f"{PAGE}/decisions?region=eu")["decisions"]] == ["of eu"]
    assert ask(f"{PAGE}/decisions")["decisions"] == []


def test_the_buttons_are_those_of_the_regions_dags(ask, eu):
    assert ask(f"{PAGE}/actions?region=eu", "user") == {
        "startable": [BACKFILL_EU, "web_analytics_validate__eu"],
        "cancellable": [BACKFILL_EU, "web_analytics_team_backfill__eu"],
    }
    assert ask(f"{PAGE}/actions?region=eu", "viewer") == {"startable": [], "cancellable": []}


def test_a_team_is_enabled_in_its_region(airflow_api, login, source, eu, dags_in_database):
    answer = airflow_api.put(f"{TEAMS}/12?region=eu", json={"enabled": True}, headers=login("user"))
    assert answer.status_code == 200, answer.text
    enabled = "SELECT team_id FROM web_pre_aggregated_teams WHERE enabled"
    assert eu.clickhouse.client.execute(enabled) == [(12,)]
    assert source.clickhouse.client.execute(enabled) == []
    viewer = login("viewer")
    assert airflow_api.put(f"{TEAMS}/12?region=eu", json={}, headers=viewer).status_code == 403
    assert airflow_api.get(f"{TEAMS}/12?region=eu", headers=viewer).json()["selected"] is True
    assert airflow_api.get(f"{TEAMS}/12", headers=viewer).status_code == 404


@pytest.mark.parametrize("region", ["us2", "EU", "eu'--", "../eu", "clickhouse_default"])
def test_what_is_no_region_is_refused(airflow_api, login, eu, region):
    for path in (f"{PAGE}/data", f"{PAGE}/decisions", f"{PAGE}/actions", TEAMS):
        answer = airflow_api.get(path, params={"region": region}, headers=login("admin"))
        assert answer.status_code == 404, answer.text
        assert "There is no region" in answer.json()["detail"]
        assert airflow_api.get(path, params={"region": region}).status_code == 401


def test_a_region_without_a_connection_says_so(airflow_api, login, eu):
    answer = airflow_api.get(f"{PAGE}/data?region=us1", headers=login("viewer"))
    assert answer.status_code == 503
    assert "WEB_ANALYTICS_CLICKHOUSE_CONN_ID__US1" in answer.json()["detail"]


def test_links_lead_to_the_region_of_their_dag(monkeypatch):
    monkeypatch.setenv("WEB_ANALYTICS_REGIONS", "eu")
    page = "/plugin/web-analytics-coverage"
    assert links.page_of("web_analytics_health") == page
    assert links.page_of("web_analytics_health__eu") == f"{page}{PAGE}?region=eu"
    run = SimpleNamespace(dag_id=BACKFILL_EU, run_id="manual__1+1")
    link = links.CoverageLink().get_link(None, ti_key=run)
    assert link == f"{page}{PAGE}?region=eu&dag_id={BACKFILL_EU}&run_id=manual__1%2B1"


def test_a_link_selects_the_days_and_teams_that_it_is_about():
    page = f"/plugin/web-analytics-coverage{PAGE}?"
    day = date(2026, 3, 10)
    assert links.page_of("web_analytics_validate", days=[day], team_ids=[7]) == (
        f"{page}date_start=2026-02-09&date_end=2026-03-11&selected_days=2026-03-10&team_ids=7&selected_teams=7"
    )
    years = [date(2024, 1, 1), day]
    assert links.page_of("web_analytics_backfill", days=years, team_ids=range(1000)) == (
        f"{page}date_start=2025-03-10&date_end=2026-03-11&selected_days=2025-03-10..2026-03-10"
    )
